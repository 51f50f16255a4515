"""What a trial costs beyond training: 100 near-empty trials through Ray, store and mirror."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ray import tune
from rich.console import Console

from orchestrator.cli.progress import SweepProgress
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import make_executor, run_study
from tests.benchmarks.rows import Row

TRIALS = 100
PLAIN = 6
SPEC = """
study: overhead
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, aa: false, sde: false, visual_projector: linear,
           text_projector: identity, train_per_class: 1, test_per_class: 1, visual_dim: 8, epochs: 1}
seeds: 100
"""


def measure() -> Iterator[Row]:
    """Yield milliseconds per trial, beside plain Tune function trainables in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(SPEC + "grid: {gamma: [0.01]}\n")
        runs = f"{folder}/runs"
        settings = Settings(Path(folder), runs, f"sqlite:///{runs}/dvta.db", f"sqlite:///{runs}/mlflow.db")
        study = read_study(path, settings)
        store = Store.open(settings.store)
        plan = plan_study(study, store)
        with make_executor("ray", "local", study.spec) as executor:
            run_study(study, plan, store, settings, executor, SweepProgress(Console(quiet=True)))
        ended = time.time()
        with store.engine.connect() as connection:
            ends = sorted(row[0] for row in connection.exec_driver_sql("SELECT finished FROM attempt"))
        assert len(ends) == TRIALS
        warm = ends[10:]
        pace = 1000 * (warm[-1] - warm[0]) / (len(warm) - 1)
        whole = 1000 * (ended - warm[0]) / (len(warm) - 1)

        def nothing(config: dict[str, int]) -> None:
            tune.report({"accuracy": 0.5})

        began = time.perf_counter()
        tune.Tuner(
            nothing,
            param_space={"x": tune.grid_search(list(range(PLAIN)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        plain = f"plain Tune functions {1000 * (time.perf_counter() - began) / PLAIN:.0f} ms"
        yield Row(
            "overhead", "a near-empty trial through Ray, store and mirror, warm actors", pace, "ms", plain
        )
        yield Row("overhead", "the same with the mirror's last flush and the shutdown", whole, "ms", plain)
