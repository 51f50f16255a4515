"""Planning: grids of 10,000 and of 1,000,000 trials, from the YAML file to the sorted plan, each in a process of its own."""

from __future__ import annotations

import functools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dvta.data_ref import locate
from orchestrator.spec.load import load_spec
from orchestrator.study.expand import Resolver, expand
from orchestrator.study.plan import make_plan
from tests.benchmarks.apart import apart, peak_memory
from tests.benchmarks.rows import Row

CELLS = 2000
BARS = {10_000: "bar: 2 s", 1_000_000: "as many as a spec may come to"}
SPEC = """
study: large
grid:
  "dataset, split": [[ntu60, 55/5], [ntu60, 48/12], [ntu120, 110/10], [ntu120, 96/24]]
  gamma: [{gammas}]
  tau: [0.05, 0.07, 0.1, 0.5, 1.0]
  sde: [true, false]
seeds: {seeds}
"""


def one(trials: int) -> None:
    """Plan so many trials; print the seconds and the process's memory as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        gammas = ", ".join(f"{0.001 * (i + 1):.3f}" for i in range(50))
        path.write_text(SPEC.format(gammas=gammas, seeds=trials // CELLS))
        began = time.perf_counter()
        resolver = Resolver(functools.partial(locate, Path(folder)), "simulated")
        plan = make_plan(list(expand(load_spec(path), resolver)), {})
        seconds = time.perf_counter() - began
    assert len(plan.to_run) == trials
    print(json.dumps({"seconds": seconds, "memory": peak_memory()}))


def measure() -> Iterator[Row]:
    """Yield the seconds of planning by the number of trials."""
    for trials, bar in BARS.items():
        found = apart("plan", trials)
        beside = f"{bar}; the process {found['memory']:,.0f} MiB"
        yield Row("plan", f"planning {trials:,} trials", found["seconds"], "s", beside)
