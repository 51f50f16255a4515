"""One number of a table from the trials of its cell: averages and their spreads."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from orchestrator.records import ACCURACY, CellValue
from orchestrator.tables import repeat_of
from orchestrator.trial import classes_measured, format_value

FINAL, BEST, GAIN = "final", "best", "best - final"
NEVER_AVERAGED = ("source", "evaluate_on")  # trials that differ in it have no mean


@dataclasses.dataclass(frozen=True)
class Comparison:
    """This row minus another, in the unit shown.

    Attributes:
        differences: one a class split of a data set, the mean over its seeds.
        seeds: of each of them, how many seeds both rows have.
        p: of Wilcoxon's signed-rank test, two-sided; None below six class splits.
    """

    differences: tuple[float, ...]
    seeds: tuple[int, ...]
    p: float | None

    @property
    def mean(self) -> float:
        """The mean difference."""
        return statistics.fmean(self.differences)

    def __str__(self) -> str:
        few, most = min(self.seeds), max(self.seeds)
        count = len(self.differences)
        seeds = f"{few} seed{'s' * (few > 1)}" if few == most else f"{few} to {most} seeds"
        p = f", p = {self.p:.3g}" if self.p is not None else ""
        return f"Δ {self.mean:+.2f} ({count} split{'s' * (count > 1)} × {seeds}{p})"


@dataclasses.dataclass(frozen=True)
class Number:
    """One cell, in the unit shown; accuracies are percentages.

    Attributes:
        mean, std, n: over seeds (over repeats of the search where it was repeated); None and 0 where
            nothing was measured. std is None for one seed.
        expected: how many seeds there will be.
        splits, split_std: how many class splits the mean averages, and the standard deviation over
            them of each one's mean over seeds; 1 and None where it is of one split.
        paper: the paper's value as printed, where it may be compared.
        difference: measured minus paper.
        note: a contradiction in the paper. missing: why there is no number, or what would fill the cell.
        paired: against the chosen row: differences by class split, and a p-value from 6 splits.
        quantity: what is shown of a trial, ``accuracy`` or the name of another result; ``scale``
            turns the stored value into the shown one.
        protocol: ``final``, ``best`` or their difference, of an accuracy; None of another result.
        measured_on: of an accuracy, the classes it was measured on.
        device: of a cost, the device it was measured on.
        low, high: of its interval, where one was asked for.
    """

    mean: float | None
    std: float | None
    n: int
    expected: int
    paper: str | None = None
    difference: float | None = None
    note: str | None = None
    missing: str | None = None
    paired: Comparison | None = None
    quantity: str = ACCURACY
    scale: float = 100.0
    splits: int = 1
    split_std: float | None = None
    protocol: str | None = None
    measured_on: str | None = None
    device: str | None = None
    low: float | None = None
    high: float | None = None


def measure(value: CellValue, protocol: str, quantity: str = ACCURACY) -> float | None:
    """Return what a trial measured, under ``best - final`` what choosing the epoch is worth."""
    if protocol != GAIN or quantity != ACCURACY:
        return value.value(protocol, quantity)
    if value.best is None or value.final is None:
        return None
    return value.best - value.final


def number_of(cell: Sequence[CellValue], protocol: str, quantity: str, scale: float) -> Number:
    """Return the number of a cell's trials."""
    reason = next((v.missing for v in cell if v.missing), None) or _mixed(cell)
    trials = [v for v in cell if v.key is not None]
    runs: dict[Any, list[CellValue]] = {}
    for value in trials:
        runs.setdefault(run_of(value), []).append(value)
    everywhere = {split_of(v) for v in trials}
    measured = [run for run in runs.values() if all(measure(v, protocol, quantity) is not None for v in run)]
    # an average over splits counts only when every split is there
    whole = [run for run in measured if {split_of(v) for v in run} == everywhere] if reason is None else []
    if measured and not whole:
        reason = reason or f"no seed has all of its {len(everywhere)} class splits"
    about: dict[str, Any] = {"quantity": quantity, "scale": scale}
    if quantity == ACCURACY:
        measured_on = next((classes_measured(v.config) for v in trials), None)
        about |= {"protocol": protocol, "measured_on": measured_on}
    if not whole:
        failed = next((v.error for v in cell if v.error), None)
        unfilled = "not run yet: dvta-orch sweep fills it" if cell else "not part of this study"
        reason = reason or (f"failed: {failed}" if failed else unfilled)
        return Number(None, None, 0, len(runs), missing=reason, **about)

    def mean(values: Sequence[CellValue]) -> float:
        return statistics.fmean(scale * (measure(v, protocol, quantity) or 0.0) for v in values)

    counted = [value for run in whole for value in run]
    means = [mean(run) for run in whole]
    splits = [mean(values) for values in grouped(counted, split_of).values()]
    costs = dict.fromkeys(v.device for v in counted if v.config.get("kind") == "profile" and v.device)
    return Number(
        statistics.fmean(means),
        statistics.stdev(means) if len(means) > 1 else None,
        len(means),
        len(runs),
        splits=len(splits),
        split_std=statistics.stdev(splits) if len(splits) > 1 else None,
        device=", ".join(costs) or None,
        **about,
    )


def run_of(value: CellValue) -> Any:
    """Return what was repeated for a trial: the whole search, or the training with another seed."""
    repeat = repeat_of(value.row)
    return value.seed if repeat is None else ("repeat", repeat)


def each_once(values: Iterable[CellValue]) -> list[CellValue]:
    """Return the trials, each once; of repeats of a search that chose the same trial, each keeps it."""
    return list({(v.key, repeat_of(v.row)): v for v in values}.values())


def split_of(value: CellValue) -> tuple[Any, Any]:
    """Return the class split of a trial."""
    return value.config.get("dataset"), value.config.get("split")


def grouped(values: Sequence[CellValue], by: Callable[[CellValue], Any]) -> dict[Any, list[CellValue]]:
    """Return the values by what they have in common, in the order in which it appears."""
    groups: dict[Any, list[CellValue]] = {}
    for value in values:
        groups.setdefault(by(value), []).append(value)
    return groups


def _mixed(cell: Sequence[CellValue]) -> str | None:
    """Return why the trials of a cell have no mean, or None."""
    for name in NEVER_AVERAGED:
        found = {v.config.get(name) for v in cell if v.key}
        if len(found) > 1:
            return (
                f"trials of {name} {' and '.join(sorted(map(format_value, found)))}, which are never averaged"
            )
    return None
