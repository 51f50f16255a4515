"""Paired comparison of two rows, with the class split of a data set as its unit.

Trials of one split that differ in the seed alone share data, classes and texts: they are repeated
measurements of one unit, not units of their own. So seeds are averaged inside a split before anything
is tested.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.records import ACCURACY, CellValue
from orchestrator.report.judging.significance import LEAST_UNITS, signed_rank_p
from orchestrator.report.judging.units import Sample, alike, measured
from orchestrator.report.number import Comparison, Number, grouped

RowColumn = tuple[str, str]


def compare(
    ours: Sequence[CellValue],
    theirs: Sequence[CellValue],
    protocol: str,
    quantity: str = ACCURACY,
    scale: float = 100.0,
) -> Comparison | None:
    """Return the comparison of two lists of trials, or None where no class split is in both.

    A unit is a class split of a data set; its difference is the mean over the seeds that both have
    (Wilcoxon 1945 for the p-value). Units of several sources, real and simulated, are never pooled:
    None. Trials that share split and seed, as in a pivot that averages, count as their mean.
    ``scale`` turns stored values of ``quantity`` into shown ones; by default accuracies into percentages.
    """
    alone = [_by_source(values) for values in (ours, theirs)]
    found = []
    for source in alone[0].keys() & alone[1].keys():
        left, right = (measured(values[source], protocol, quantity, scale) for values in alone)
        pairs = [alike(left[unit], right.get(unit, {})) for unit in left]
        found.append([(mine, other) for mine, other in pairs if mine and other])
    found = [pairs for pairs in found if pairs]
    if len(found) != 1:
        return None
    differences = tuple(_mean(mine) - _mean(other) for mine, other in found[0])
    seeds = tuple(min(len(mine), len(other)) for mine, other in found[0])
    return Comparison(differences, seeds, signed_rank_p(differences))


def compared(
    cells: Mapping[RowColumn, Sequence[CellValue]],
    numbers: Mapping[RowColumn, Number],
    against: str,
    protocol: str,
) -> tuple[dict[RowColumn, Number], list[str]]:
    """Return the numbers with their comparison to a row, and a caption line per row over all like columns."""
    lines = [
        f"Δ: mean difference to row {against!r}; its units are class splits of a data set, seeds averaged "
        f"inside each; p: Wilcoxon signed-rank over the splits, two-sided, from {LEAST_UNITS} splits on"
    ]
    out = dict(numbers)
    for row in dict.fromkeys(r for r, _ in numbers):
        if row == against:
            continue
        # columns of one quantity are pooled
        alike: dict[tuple[str, float], list[str]] = {}
        for column in dict.fromkeys(c for _, c in numbers):
            number = numbers[row, column]
            shown = number.quantity, number.scale
            alike.setdefault(shown, []).append(column)
            found = compare(cells.get((row, column), []), cells.get((against, column), []), protocol, *shown)
            if found is not None:
                out[row, column] = dataclasses.replace(number, paired=found)
        for shown, columns in alike.items():
            mine, theirs = ([v for c in columns for v in cells.get((r, c), [])] for r in (row, against))
            pooled = compare(mine, theirs, protocol, *shown)
            if pooled is not None:
                where = "all columns" if len(alike) == 1 else ", ".join(columns)
                lines.append(f"{row} against {against}, {where}: {_in_words(pooled)}")
    if all(n.paired is None for n in out.values()):
        lines.append(f"no class split and seed is both in a row and in row {against!r}")
    return out, lines


def _in_words(found: Comparison) -> str:
    if found.p is not None:
        return str(found)
    return f"{found}; by split: {', '.join(f'{d:+.2f}' for d in found.differences)}"


def _by_source(values: Sequence[CellValue]) -> dict[Any, list[CellValue]]:
    return grouped([v for v in values if v.key], lambda v: v.source)


def _mean(runs: Sequence[Sequence[Sample]]) -> float:
    return statistics.fmean(statistics.fmean(sample.value for sample in run) for run in runs)
