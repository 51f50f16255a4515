"""What the faster forms of training do to the accuracy on unseen classes: real motion capture, three splits, five seeds.

The trials are those of experiments/cmu_leaderboard.yaml at a third of its epochs, each trained plainly and in another
form with the same seed. A processor without instructions for bf16 forms its products as those would. Reads the clips
that lie beside the project, and says so where they are absent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dvta.features import FeatureSet
from dvta.importers.features import import_features
from dvta.methods.metric_network import MetricNetwork
from dvta.stacking import Stack
from dvta.training import Fit, fit
from dvta.training_config import TrainingConfig
from orchestrator.execute.inputs import Inputs
from orchestrator.execute.memory import keep_freed_pages
from orchestrator.execute.model import build_method
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.trial import Trial
from tests.benchmarks.rows import Row
from tests.conftest import ROOT
from tests.sweeps import settings_of

CMU = ROOT.parent / "shared/data/cmu"
SPLITS, SEEDS = ("split_1", "split_2", "hard"), 5
PLAIN, PARTS, BF16, STACKED = "plainly", "in parts", "in bf16", "stacked"
FORMS = {
    "dvta": (PARTS, BF16), "smie": (STACKED,), "cada_vae": (STACKED,), "synse": (STACKED,), "devise": (STACKED,),
}  # fmt: skip


class Bf16Products(TorchDispatchMode):
    """Forms products of bf16 as instructions for them do: sums in fp32, rounded once.

    PyTorch's own take 8 to 50 times as long where there are no such instructions.
    """

    PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.PRODUCTS and all(a.dtype is torch.bfloat16 for a in args):
            return func(*(a.float() for a in args), **(kwargs or {})).bfloat16()
        return func(*args, **(kwargs or {}))


class Task(NamedTuple):
    """All seeds of a method on a split, trained in one form."""

    method: str
    form: str
    split: str
    trials: list[Trial]
    features: FeatureSet


def accuracies(task: Task) -> list[float]:
    """Return the accuracy in % at the last epoch of every seed."""
    torch.set_num_threads(1)
    keep_freed_pages()
    MetricNetwork.in_parts = task.form == PARTS
    fits = [_start(trial, task.features, "bf16" if task.form == BF16 else "fp32") for trial in task.trials]
    plain = task.form != BF16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with contextlib.nullcontext() if plain else Bf16Products():
        for part in [Stack(fits)] if task.form == STACKED else fits:
            for _ in part:
                pass
    return [100 * run.outcome().final.accuracy for run in fits]


def _start(trial: Trial, features: FeatureSet, precision: str) -> Fit:
    config = TrainingConfig(**trial.training)  # type: ignore[arg-type]
    config = dataclasses.replace(config, epochs=max(2, -(-config.epochs // 3)))
    return fit(build_method(trial, features), features, config, seed=trial.seed, precision=precision)


def tasks(folder: Path) -> list[Task]:
    """Return what is to be trained, the longest first; data and store lie in ``folder``."""
    import_features("cmu", CMU, folder / "data")
    settings = settings_of(folder)
    study = read_study(ROOT / "experiments/cmu_leaderboard.yaml", settings)
    planned = plan_study(study, Store.open(settings.store)).to_run
    inputs = Inputs(study.resolver)
    found = []
    for method, forms in FORMS.items():
        for split in SPLITS:
            trials = [t for t in planned if (t.method, t.split) == (method, split)]
            assert len(trials) == SEEDS
            features = inputs.load(trials[0])
            assert isinstance(features, FeatureSet)
            found += [Task(method, form, split, trials, features) for form in (PLAIN, *forms)]
    return found


def measure() -> Iterator[Row]:
    """Yield by how much each form changes each method's accuracy, in points."""
    if not CMU.is_dir():
        print(
            "accuracy: nothing measured, the clips beside the project (../shared/data/cmu) are absent",
            file=sys.stderr,
        )
        return
    with tempfile.TemporaryDirectory() as name:
        todo = tasks(Path(name))
        cores = len(os.sched_getaffinity(0))
        with multiprocessing.get_context("spawn").Pool(cores, maxtasksperchild=1) as pool:
            measured = pool.map(accuracies, todo, chunksize=1)
    by_form: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(dict)
    for task, found in zip(todo, measured, strict=True):
        by_form[task.method, task.form][task.split] = found
    for (method, form), other in by_form.items():
        if form != PLAIN:
            yield _row(method, form, by_form[method, PLAIN], other)


def _row(method: str, form: str, plain: dict[str, list[float]], other: dict[str, list[float]]) -> Row:
    """Return a form's mean difference, beside its standard error and the spread between seeds."""
    differences = {s: [b - a for a, b in zip(plain[s], other[s], strict=True)] for s in SPLITS}
    every = [d for found in differences.values() for d in found]
    error = statistics.stdev(every) / len(every) ** 0.5
    spread = statistics.mean(statistics.stdev(found) for found in plain.values())
    splits = ", ".join(f"{s} {statistics.mean(d):+.2f}" for s, d in differences.items())
    mean = statistics.mean(a for found in plain.values() for a in found)
    return Row(
        "accuracy",
        f"accuracy of {method} on CMU, trained {form}",
        statistics.mean(every),
        "points",
        f"standard error {error:.2f} over {len(SPLITS)} splits x {SEEDS} seeds ({splits}); {PLAIN} {mean:.2f} %, "
        f"standard deviation between seeds {spread:.2f}",
    )
