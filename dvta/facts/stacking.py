"""Which runs may train as one stacked model, and where that was measured to pay."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable
from importlib import resources

from dvta.facts.base import MethodFacts
from dvta.options import Options
from dvta.training_config import TrainingConfig

#: training settings that may differ within a stack
LOOSE_SETTINGS = frozenset({"lr", "weight_decay", "eval_batch_size"})
PAYS_FROM = 1.2  # times the throughput apart
BENCHMARK = "stacking_benchmark.json"  # what tests/benchmarks/bench_stacked.py measured


def stack_key(method: type[MethodFacts], options: Options, config: TrainingConfig) -> Hashable | None:
    """Return what runs must have in common to be stacked, None where a method cannot be."""
    loose = method.stackable(options)
    if loose is None:
        return None
    fixed = {k: v for k, v in dataclasses.asdict(options).items() if k not in loose}
    settings = {k: v for k, v in dataclasses.asdict(config).items() if k not in LOOSE_SETTINGS}
    return method, tuple(sorted(fixed.items())), tuple(sorted(settings.items()))


@functools.cache
def measured() -> dict[str, dict[str, float]]:
    """Return device type -> method -> how many times the throughput apart a stack of 20 had."""
    found = json.loads((resources.files("dvta") / BENCHMARK).read_text())["throughput"]
    return {device: {name: float(x) for name, x in methods.items()} for device, methods in found.items()}


def pays(method: str, device: str) -> bool:
    """Return whether stacking a method was measured to pay on a device type; unmeasured does not."""
    return measured().get(device, {}).get(method, 0.0) >= PAYS_FROM
