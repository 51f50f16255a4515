"""The executor on Ray Tune. No type of Ray leaves this module and ``ray_cluster``.

Tune schedules and restarts; it decides nothing. A Tuner's searcher hands out the driver's trials, its
stopper passes reports to the driver (``ray_hooks``), its actors are reused. A trial is claimed when an actor
has started on it, which then gets the job by a call of its own.
"""

from __future__ import annotations

import collections
import logging
import os
import shutil
import signal
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

from orchestrator.execute.cluster import quiet, token_mode

os.environ.update(token_mode())
# read by Tune when it is imported: no result files, no signal handler, no change of directory
os.environ.update(
    {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
        "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
        "TUNE_WARN_THRESHOLD_S": "60",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
)

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.execute.gpu_share import First, gpu_share
from orchestrator.execute.pieces import Pieces
from orchestrator.execute.protocol import Job, Jobs
from orchestrator.execute.ray_cluster import NAMESPACE, check_resources, connect, disconnect
from orchestrator.execute.ray_hooks import Feed, InOrder, Reports, Workers
from orchestrator.execute.stacked import Work, begin
from orchestrator.spec.model import Resources

log = logging.getLogger(__name__)


@ray.remote(num_cpus=0)
class _FeatureBoard:
    """Holds the references to the features in the object store, by digest."""

    def __init__(self) -> None:
        self._refs: dict[str, list[ray.ObjectRef]] = {}  # type: ignore[type-arg]

    def put(self, digest: str, ref: list[ray.ObjectRef]) -> None:  # type: ignore[type-arg]
        self._refs[digest] = ref

    def get(self, digest: str) -> list[ray.ObjectRef]:  # type: ignore[type-arg]
        return self._refs[digest]


class _Worker(tune.Trainable):
    """A Tune actor that does one piece of work after the other."""

    _features: collections.OrderedDict[str, Any]
    KEPT = 2

    def setup(self, config: dict[str, Any]) -> None:
        logging.getLogger("dvta").setLevel(logging.WARNING)
        self._features = collections.OrderedDict()
        self._board = ray.get_actor(config["board"], namespace=NAMESPACE)
        self._jobs: list[Job] = []
        self._work: Work | None = None

    def take(self, jobs: list[Job]) -> None:
        """Take what was claimed for this worker; it is begun by the next step."""
        self._jobs = jobs

    def drop(self, attempt_id: int) -> None:
        """Let go of an attempt that is to stop."""
        if self._work is not None:
            self._work.drop(attempt_id)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        return True

    def step(self) -> dict[str, Any]:
        if self._jobs:
            self._work, self._jobs = begin(self._jobs, self._load), []
        if self._work is None:
            return {"reports": [], "done": True}
        reports = self._work.step()
        for report in reports:
            report.worker["node"] = ray.get_runtime_context().get_node_id()
        if not self._work.goes_on:
            self._work = None
        return {"reports": reports, "done": self._work is None}

    def cleanup(self) -> None:
        self._jobs = []
        if self._work is not None:
            self._work.save()
            self._work = None

    def _load(self, digest: str) -> Any:
        if digest not in self._features:
            refs: Any = ray.get(self._board.get.remote(digest))
            self._features[digest] = ray.get(refs[0])
            if len(self._features) > self.KEPT:
                self._features.popitem(last=False)
        self._features.move_to_end(digest)
        return self._features[digest]


class RayTuneExecutor:
    """Runs jobs on a Ray cluster, this machine's or another's; it is joined while this is entered."""

    def __init__(self, address: str = "local", resources: Resources | None = None) -> None:
        self._address = address
        self._resources = resources or Resources()

    def __enter__(self) -> RayTuneExecutor:
        """Join the cluster.

        Raises:
            ClusterError: it cannot be reached, or no node can ever hold a trial.
        """
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            connect(self._address)
        except SystemExit:  # Ray's own answer to SIGTERM
            raise KeyboardInterrupt from None
        if threading.current_thread() is threading.main_thread():
            # Ray exits at SIGTERM; the driver's own handler stops in good order
            for number, handler in handlers.items():
                signal.signal(number, handler)
        try:
            auto = self._resources.gpus_per_trial == "auto"
            check_resources(self._with_whole_gpu() if auto else self._resources)
        except BaseException:
            disconnect()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        disconnect()

    def run(self, jobs: Jobs, *, alone: bool = False) -> None:
        """Carry out every job; restarts an attempt whose worker died, up to the limit.

        Raises:
            ClusterError: no node can ever hold a trial.
        """
        folder = Path(tempfile.mkdtemp(prefix="dvta-orch-tune-"))
        try:
            resources = self._resources
            if alone:
                resources = self._with_whole_gpu().model_copy(update={"max_concurrent": 1})
            elif resources.gpus_per_trial == "auto":
                resources = self._with_whole_gpu()
                if resources.gpus_per_trial:
                    resources = self._probe(jobs, folder)
            check_resources(resources)
            self._run(jobs, folder, resources)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _with_whole_gpu(self) -> Resources:
        """Return resources with a GPU for every trial, without any where the cluster has none."""
        has_gpu = any(node["Resources"].get("GPU") for node in ray.nodes() if node["Alive"])
        return self._resources.model_copy(update={"gpus_per_trial": float(has_gpu)})

    def _probe(self, jobs: Jobs, folder: Path) -> Resources:
        """Run one trial alone on a GPU and return resources with the share of memory it took."""
        first = First(jobs)
        alone = self._resources.model_copy(update={"gpus_per_trial": 1.0, "max_concurrent": 1})
        self._run(first, folder, alone)
        share = gpu_share(first.worker.get("peak_memory_mib", 0.0), first.worker.get("gpu_memory_mib", 0.0))
        log.warning("gpus_per_trial: auto is %g, measured by the first trial", share)
        return self._resources.model_copy(update={"gpus_per_trial": share})

    def _run(self, jobs: Jobs, folder: Path, resources: Resources) -> None:
        name = f"board-{uuid.uuid4().hex}"
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        board = _FeatureBoard.options(name=name, namespace=NAMESPACE, scheduling_strategy=here).remote()  # type: ignore[attr-defined]
        pieces = Pieces(jobs)
        slots = self._slots(resources)
        feed = Feed(jobs, pieces, name, slots, "cuda" if ray.cluster_resources().get("GPU") else "cpu")
        workers = Workers(jobs, pieces, feed, board)
        # as many trials wait as can run, so that every actor that ends one finds the next
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
        reports = Reports(jobs, pieces, feed, workers)
        with quiet():
            self._tuner(feed, workers, reports, folder, resources).fit()
        ray.kill(board)
        if feed.error is not None:
            raise feed.error

    @staticmethod
    def _tuner(
        feed: Feed, workers: Workers, reports: Reports, folder: Path, resources: Resources
    ) -> tune.Tuner:
        search: Any = feed
        return tune.Tuner(
            tune.with_resources(
                _Worker,
                {"cpu": resources.cpus_per_trial, "gpu": float(resources.gpus_per_trial)},
            ),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=search,
                scheduler=InOrder(),
                reuse_actors=True,
                max_concurrent_trials=resources.max_concurrent or None,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(folder),
                verbose=0,
                stop=reports,
                callbacks=[workers],
                failure_config=tune.FailureConfig(max_failures=resources.restarts),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # ours are elsewhere
                log_to_file=False,
            ),
        )

    @staticmethod
    def _slots(resources: Resources) -> int:
        """Return how many trials fit the cluster now, at least 1."""
        have = ray.cluster_resources()
        fits = have.get("CPU", 1.0) / max(resources.cpus_per_trial, 1e-3)
        if resources.gpus_per_trial:
            fits = min(fits, have.get("GPU", 0.0) / float(resources.gpus_per_trial))
        return max(1, min(int(fits), resources.max_concurrent or 10_000))
