"""Intervals for the cells of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from orchestrator.records import ACCURACY
from orchestrator.report.judging.bootstrap import Interval, Run, interval
from orchestrator.report.judging.units import Counts, measured
from orchestrator.report.number import GAIN, Number
from orchestrator.report.table import RowColumn, Table


def with_intervals(table: Table, counts: Mapping[str, Mapping[int, Counts]]) -> Table:
    """Return the table with the interval of every number that has something to draw.

    Args:
        counts: protocol -> attempt id -> class id -> (correct, total).
    """
    numbers = dict(table.numbers)
    drawn: dict[tuple[str, ...], dict[str, None]] = {}
    for place, number in table.numbers.items():
        found = _interval(table, place, number, counts)
        if found is not None:
            numbers[place] = dataclasses.replace(number, low=found.low, high=found.high)
            drawn.setdefault(found.levels, {})[place[1]] = None
    return dataclasses.replace(table, numbers=numbers, caption=(*table.caption, *_lines(drawn)))


def _lines(drawn: Mapping[tuple[str, ...], Mapping[str, None]]) -> list[str]:
    """Return what the intervals are, by the levels that were drawn in which columns."""
    if not drawn:
        return ["no intervals: no number has several splits, seeds or stored classes to draw from"]
    lines = [
        "[low, high]: 95 % percentile interval of a hierarchical bootstrap, too narrow where it draws from few; it says "
        "nothing of what is not drawn"
    ]
    for levels, columns in drawn.items():
        where = "" if len(drawn) == 1 else f" in {', '.join(columns)}"
        lines.append(f"drawn{where}: {' → '.join(levels)}")
    if len(drawn) > 1:
        lines.append("intervals that draw different things do not compare")
    return lines


def _interval(
    table: Table, place: RowColumn, number: Number, counts: Mapping[str, Mapping[int, Counts]]
) -> Interval | None:
    if number.mean is None:
        return None
    accuracy = number.quantity == ACCURACY
    protocol = number.protocol or ""
    if accuracy and protocol == GAIN:
        return None
    cell = table.cells.get(place, [])
    found = measured(
        cell, protocol, number.quantity, number.scale, counts.get(protocol) if accuracy else None
    )
    units: list[list[Run]] = [
        [[(1 / len(samples), s) for s in samples] for samples in runs.values()] for runs in found.values()
    ]
    return interval(units) if units else None
