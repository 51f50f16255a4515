"""What a trial costs beyond training: 100 near-empty trials, beside plain Tune function trainables."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ray import tune

from tests.benchmarks.near_empty import sweep
from tests.benchmarks.rows import Row

TRIALS = 100
PLAIN = 6


def measure() -> Iterator[Row]:
    """Yield milliseconds per trial, beside plain Tune function trainables in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        found = sweep(Path(folder), TRIALS)
        whole = 1000 * (found.closed - found.first) / (found.ends - 1)

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
            "overhead",
            "a near-empty trial through Ray, store and mirror, warm actors",
            found.pace,
            "ms",
            plain,
        )
        yield Row("overhead", "the same with the mirror's last flush and the shutdown", whole, "ms", plain)
