"""Planning: a grid of 10,000 trials, from the YAML file to the sorted plan."""

import functools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dvta.data_ref import locate
from orchestrator.spec.load import load_spec
from orchestrator.study.expand import Resolver, expand
from orchestrator.study.plan import make_plan
from tests.benchmarks.rows import Row

SPEC = """
study: large
grid:
  "dataset, split": [[ntu60, 55/5], [ntu60, 48/12], [ntu120, 110/10], [ntu120, 96/24]]
  gamma: [{gammas}]
  tau: [0.05, 0.07, 0.1, 0.5, 1.0]
  sde: [true, false]
seeds: 5
"""


def measure() -> Iterator[Row]:
    """Yield the seconds of planning 10,000 trials."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(SPEC.format(gammas=", ".join(f"{0.001 * (i + 1):.3f}" for i in range(50))))
        began = time.perf_counter()
        resolver = Resolver(functools.partial(locate, Path(folder)), "simulated")
        plan = make_plan(list(expand(load_spec(path), resolver)), {})
        seconds = time.perf_counter() - began
    assert len(plan.to_run) == 10_000
    yield Row("plan", "planning 10,000 trials", seconds, "s", "bar: 2 s")
