"""What grows with the number of trials: near-empty ones through Ray, store and mirror, each size in a process of its own.

BENCH_TRIALS=100,1000,10000 chooses the sizes; 100 and 1,000 without it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.rows import Row
from tests.conftest import ROOT

SPEC = """
study: growth
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, aa: false, sde: false, visual_projector: linear,
           text_projector: identity, train_per_class: 1, test_per_class: 1, visual_dim: 8, epochs: 1}
grid: {gamma: [0.01]}
seeds: SEEDS
"""


def one(trials: int) -> None:
    """Sweep so many trials; print what it took as JSON."""
    from rich.console import Console

    from orchestrator.cli.progress import SweepProgress
    from orchestrator.settings import Settings
    from orchestrator.store import Store
    from orchestrator.study.plan import plan_study
    from orchestrator.study.study import read_study
    from orchestrator.sweep import make_executor, run_study

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(SPEC.replace("SEEDS", str(trials)))
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
        assert len(ends) == trials
        warm = ends[10:]
        found = {
            "pace": 1000 * (warm[-1] - warm[0]) / (len(warm) - 1),
            "tail": ended - warm[-1],
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "store": (Path(runs) / "dvta.db").stat().st_size / 2**20,
            "mlflow": (Path(runs) / "mlflow.db").stat().st_size / 2**20,
        }
        print(json.dumps(found))


def measure() -> Iterator[Row]:
    """Yield what a trial costs by the number of them."""
    for trials in map(int, os.environ.get("BENCH_TRIALS", "100,1000").split(",")):
        done = subprocess.run(
            [sys.executable, "-c", f"from tests.benchmarks.bench_growth import one; one({trials})"],
            stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        yield Row(
            "growth",
            f"{trials:,} near-empty trials, a trial",
            found["pace"],
            "ms",
            f"after the last one {found['tail']:.1f} s for the mirror; the driver {found['memory']:.0f} MiB, the store "
            f"{found['store']:.1f} MiB, MLflow's file {found['mlflow']:.1f} MiB",
        )
