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
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.execute.cluster import quiet
from orchestrator.execute.ray_cluster import check_resources, slots, with_whole_gpu

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
    }
)

# Tune asks of every callback whether it is its own for MLflow, and would import all of MLflow before the first trial
if "mlflow" not in sys.modules:
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    try:
        import ray.air.integrations.mlflow
    finally:
        del sys.modules["mlflow"]

import ray
from ray import tune

from orchestrator.execute.gpu_share import First, gpu_share
from orchestrator.execute.pieces import Pieces
from orchestrator.execute.protocol import Job, Jobs
from orchestrator.execute.ray_hooks import Feed, InOrder, Reports, Workers
from orchestrator.spec.model import Resources

if TYPE_CHECKING:
    from orchestrator.execute.stacked import Work

log = logging.getLogger(__name__)


class _Worker(tune.Trainable):
    """A Tune actor that does one piece of work after the other."""

    _features: collections.OrderedDict[str, Any]
    KEPT = 2

    def setup(self, config: dict[str, Any]) -> None:
        # imports PyTorch, which the driver can do without
        from orchestrator.execute.stacked import begin

        self._begin = begin
        logging.getLogger("dvta").setLevel(logging.WARNING)
        self._features = collections.OrderedDict()
        self._refs: Mapping[str, Sequence[ray.ObjectRef]] = {}  # type: ignore[type-arg]
        self._jobs: list[Job] = []
        self._work: Work | None = None

    def take(self, jobs: list[Job], refs: Mapping[str, Sequence[ray.ObjectRef]]) -> None:  # type: ignore[type-arg]
        """Take what was claimed for this worker, and where it reads; it is begun by the next step."""
        self._jobs, self._refs = jobs, refs

    def drop(self, attempt_id: int) -> None:
        """Let go of an attempt that is to stop."""
        if self._work is not None:
            self._work.drop(attempt_id)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        return True

    def step(self) -> dict[str, Any]:
        if self._jobs:
            self._work, self._jobs = self._begin(self._jobs, self._load), []
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
            self._features[digest] = ray.get(self._refs[digest][0])
            if len(self._features) > self.KEPT:
                self._features.popitem(last=False)
        self._features.move_to_end(digest)
        return self._features[digest]


class RayTuneExecutor:
    """Runs jobs on the Ray cluster that this process has joined."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def run(self, jobs: Jobs, *, alone: bool = False) -> None:
        """Carry out every job; restarts an attempt whose worker died, up to the limit.

        Raises:
            ClusterError: no node can ever hold a trial.
        """
        folder = Path(tempfile.mkdtemp(prefix="dvta-orch-tune-"))
        try:
            resources = self._resources
            if alone:
                resources = with_whole_gpu(self._resources).model_copy(update={"max_concurrent": 1})
            elif resources.gpus_per_trial == "auto":
                resources = with_whole_gpu(self._resources)
                if resources.gpus_per_trial:
                    resources = self._probe(jobs, folder)
            check_resources(resources)
            self._run(jobs, folder, resources)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _probe(self, jobs: Jobs, folder: Path) -> Resources:
        """Run one trial alone on a GPU and return resources with the share of memory it took."""
        first = First(jobs)
        alone = self._resources.model_copy(update={"gpus_per_trial": 1.0, "max_concurrent": 1})
        self._run(first, folder, alone)
        share = gpu_share(first.worker.get("peak_memory_mib", 0.0), first.worker.get("gpu_memory_mib", 0.0))
        log.warning("gpus_per_trial: auto is %g, measured by the first trial", share)
        return self._resources.model_copy(update={"gpus_per_trial": share})

    def _run(self, jobs: Jobs, folder: Path, resources: Resources) -> None:
        pieces = Pieces(jobs)
        fitting = slots(resources)
        feed = Feed(jobs, pieces, fitting, "cuda" if ray.cluster_resources().get("GPU") else "cpu")
        workers = Workers(jobs, pieces, feed)
        # as many trials wait as can run, so that every actor that ends one finds the next
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(fitting)
        reports = Reports(jobs, pieces, feed, workers)
        with quiet():
            self._tuner(feed, workers, reports, folder, resources).fit()
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
