"""What figures of the store are drawn from: done trials sorted into rows, and means with spread over seeds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.records import CellValue
from orchestrator.report.number import each_once
from orchestrator.trial import Kind, format_value

Rows = dict[str, list[CellValue]]


@dataclasses.dataclass(frozen=True)
class Band:
    """A line with its spread: ``low`` and ``high`` are mean ± standard deviation, the mean where n is 1.

    ``n`` counts the seeds behind it.
    """

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int


def done(values: Sequence[CellValue]) -> list[CellValue]:
    """Return the done trainings of methods, each trial once."""
    return each_once(
        v
        for v in values
        if v.final is not None and v.attempt_id is not None and v.config.get("kind") == Kind.ALIGNMENT
    )


def by_rows(values: Sequence[CellValue], rows: str | None) -> Rows:
    """Return the done trials of every row, in the order they were stored.

    Args:
        rows: a configuration name; without it the rows of the table, with the column where there
            are several.

    Raises:
        SettingsError: no trial has that name.
    """
    trials = done(values)
    if rows is not None:
        known = sorted({name for v in trials for name in v.config} | {"seed"})
        if trials and rows not in known:
            raise SettingsError(
                f"--rows {rows}: no trial has it{did_you_mean(rows, known)}; allowed: {', '.join(known)}"
            )
    many = len({v.column for v in trials}) > 1

    def label(value: CellValue) -> str:
        if rows is not None:
            return format_value(value.seed if rows == "seed" else value.config.get(rows))
        return f"{value.row}, {value.column}" if many else value.row

    found: Rows = {}
    for value in trials:
        found.setdefault(label(value), []).append(value)
    return found


def one_place(values: Sequence[CellValue], figure: str) -> tuple[str, str]:
    """Return the data set and split that all trials share.

    Raises:
        SettingsError: there are several, whose classes do not compare.
    """
    places = sorted({(str(v.config["dataset"]), str(v.config["split"])) for v in values})
    if len(places) != 1:
        named = ", ".join(f"{d} {s}" for d, s in places) or "none"
        raise SettingsError(
            f"figure {figure}: needs trials of one data set and split, found {named}; "
            "choose with --where dataset=… --where split=…"
        )
    return places[0]


def band(runs: Sequence[tuple[int | None, Mapping[float, float]]]) -> Band:
    """Return mean and spread over seeds of curves, at the places that all of them have.

    Args:
        runs: (seed, x -> y) of every trial; trials of one seed are averaged first.
    """
    shared = sorted(set.intersection(*(set(points) for _, points in runs))) if runs else []
    seeds: dict[int | None, list[Mapping[float, float]]] = {}
    for seed, points in runs:
        seeds.setdefault(seed, []).append(points)
    columns = [
        [statistics.fmean(points[x] for points in trials) for trials in seeds.values()] for x in shared
    ]
    return _spread(shared, columns, len(seeds))


def response_band(points: Mapping[float, Sequence[tuple[int | None, float]]]) -> Band:
    """Return mean and spread over seeds of (seed, y) at every x; places may have different seeds."""
    shared = sorted(points)
    columns = []
    for x in shared:
        seeds: dict[int | None, list[float]] = {}
        for seed, y in points[x]:
            seeds.setdefault(seed, []).append(y)
        columns.append([statistics.fmean(ys) for ys in seeds.values()])
    return _spread(shared, columns, min(map(len, columns), default=0))


def _spread(x: Sequence[float], columns: Sequence[Sequence[float]], n: int) -> Band:
    means = [statistics.fmean(c) for c in columns]
    spreads = [statistics.stdev(c) if len(c) > 1 else 0.0 for c in columns]
    low = tuple(m - s for m, s in zip(means, spreads, strict=True))
    high = tuple(m + s for m, s in zip(means, spreads, strict=True))
    return Band(tuple(x), tuple(means), low, high, n)


def kept(values: Sequence[CellValue], where: Mapping[str, str]) -> list[CellValue]:
    """Return the values whose configuration prints as ``where`` says, such as ``split=55/5``.

    Raises:
        SettingsError: a name that no trial has.
    """
    known = sorted({name for v in values for name in v.config} | {"seed", "row", "column"})
    for name in where:
        if values and name not in known:
            raise SettingsError(
                f"--where {name}: no trial has it{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )
    read: dict[str, Callable[[CellValue], object]] = {
        "seed": lambda v: v.seed,
        "row": lambda v: v.row,
        "column": lambda v: v.column,
    }
    return [
        v
        for v in values
        if all(_printed(read[n](v) if n in read else v.config.get(n)) == text for n, text in where.items())
    ]


def _printed(value: object) -> str:
    return value if isinstance(value, str) else format_value(value)  # type: ignore[arg-type]
