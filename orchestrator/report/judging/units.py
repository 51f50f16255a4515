"""Class splits as the units of every test: what each row measured in each of them, seed by seed."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.records import ACCURACY, CellValue
from orchestrator.report.number import each_once, grouped, measure, run_of, split_of

Unit = tuple[Any, Any]  # data set, class split
Counts = Mapping[int, tuple[int, int]]  # class id -> (correct, total)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one trial measured.

    Attributes:
        value: in the unit shown, accuracies in %.
        counts: class id -> (correct, total) behind an accuracy, empty where they are not stored.
    """

    value: float
    counts: Counts = dataclasses.field(default_factory=dict)


#: unit -> seed, or repeat of a search -> its trials; several where a row averages configurations
Measured = dict[Unit, dict[Any, list[Sample]]]


def measured(
    values: Sequence[CellValue],
    protocol: str,
    quantity: str = ACCURACY,
    scale: float = 100.0,
    counts: Mapping[int, Counts] | None = None,
) -> Measured:
    """Return what the trials of one row measured; a seed counts where all of its trials are measured.

    Args:
        counts: attempt id -> class id -> (correct, total).
    """
    unique = each_once(v for v in values if v.key)
    found: Measured = {}
    for unit, trials in grouped(unique, split_of).items():
        for run, same in grouped(trials, run_of).items():
            samples = [
                Sample(scale * x, (counts or {}).get(v.attempt_id or 0, {}))
                for v in same
                if (x := measure(v, protocol, quantity)) is not None
            ]
            if len(samples) == len(same):
                found.setdefault(unit, {})[run] = samples
    return found


def shared_units(rows: Mapping[str, Measured]) -> list[Unit]:
    """Return the class splits that every row has, in the order of the first."""
    first, *others = rows.values()
    return [unit for unit in first if all(unit in other for other in others)]


def mean(runs: Mapping[Any, Sequence[Sample]]) -> float:
    """Return the mean over the seeds of a unit."""
    return statistics.fmean(statistics.fmean(s.value for s in samples) for samples in runs.values())


def alike(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> tuple[list[Any], list[Any]]:
    """Return both sides at the seeds they share; all of them where one repeats its search and one does not."""
    repeated = [any(isinstance(run, tuple) for run in side) for side in (left, right)]
    if repeated[0] != repeated[1]:
        return list(left.values()), list(right.values())
    shared = [run for run in left if run in right]
    return [left[run] for run in shared], [right[run] for run in shared]
