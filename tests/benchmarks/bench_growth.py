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
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.near_empty import sweep
from tests.benchmarks.rows import Row
from tests.conftest import ROOT


def one(trials: int) -> None:
    """Sweep so many trials; print what it took as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        swept = sweep(Path(folder), trials)
        found = {
            "pace": swept.pace,
            "tail": swept.flushed - swept.last,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "store": (Path(folder) / "runs/dvta.db").stat().st_size / 2**20,
            "mlflow": (Path(folder) / "runs/mlflow.db").stat().st_size / 2**20,
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
