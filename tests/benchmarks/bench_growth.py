"""What grows with the number of trials, and of raylets: near-empty trials through Ray, store and mirror.

Each measurement in a process of its own. BENCH_TRIALS=100,1000,10000 chooses the sizes; 100 and 1,000 without it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.apart import apart, peak_memory
from tests.benchmarks.near_empty import sweep
from tests.benchmarks.rows import Row

RAYLETS, SLOTS, ON_RAYLETS = (1, 2, 4), 4, 400


def one(trials: int, raylets: int = 0) -> None:
    """Sweep so many trials, on a cluster of one's own or of raylets that share the slots; print what it took as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        if raylets:
            from ray.cluster_utils import Cluster

            cluster = Cluster()
            for _ in range(raylets):
                cluster.add_node(num_cpus=SLOTS // raylets, include_dashboard=False)
        swept = sweep(Path(folder), trials, cluster.address if raylets else "local")
        if raylets:
            cluster.shutdown()
        found = {
            "pace": swept.pace,
            "tail": swept.flushed - swept.last,
            "memory": peak_memory(),
            "store": (Path(folder) / "runs/dvta.db").stat().st_size / 2**20,
            "mlflow": (Path(folder) / "runs/mlflow.db").stat().st_size / 2**20,
        }
        print(json.dumps(found))


def measure() -> Iterator[Row]:
    """Yield what a trial costs by the number of them, then by the number of raylets."""
    for raylets in RAYLETS:
        what = f"{ON_RAYLETS:,} near-empty trials on {raylets} raylet{'s' * (raylets > 1)}, a trial"
        beside = f"{SLOTS} slots in all on {len(os.sched_getaffinity(0))} cores"
        yield Row("growth", what, apart("growth", ON_RAYLETS, raylets)["pace"], "ms", beside)
    for trials in map(int, os.environ.get("BENCH_TRIALS", "100,1000").split(",")):
        found = apart("growth", trials)
        yield Row(
            "growth",
            f"{trials:,} near-empty trials, a trial",
            found["pace"],
            "ms",
            f"after the last one {found['tail']:.1f} s for the mirror; the driver {found['memory']:.0f} MiB, the store "
            f"{found['store']:.1f} MiB, MLflow's file {found['mlflow']:.1f} MiB",
        )
