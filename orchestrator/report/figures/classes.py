"""Accuracies of every class: of the rows of a study, or what one row changes against another (Fig. 6)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import SettingsError
from orchestrator.records import CellValue
from orchestrator.report.figures import style
from orchestrator.report.figures.series import Rows
from orchestrator.store import Store

MOST_ROWS = len(style.COLOURS)


def accuracies(store: Store, values: Sequence[CellValue], protocol: str) -> dict[int, float]:
    """Return class id -> mean accuracy in % over the trials; the spread over seeds is in the tables."""
    measured: dict[int, list[float]] = {}
    for value in values:
        if value.attempt_id is None:
            continue
        for class_id, (right, total) in store.per_class(value.attempt_id, protocol).items():
            if total:
                measured.setdefault(class_id, []).append(100 * right / total)
    return {class_id: statistics.fmean(x) for class_id, x in measured.items()}


def of_rows(store: Store, rows: Rows, protocol: str, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return class name -> row -> accuracy in %, the best class on average first.

    Raises:
        SettingsError: there is nothing, or more rows than can be told apart.
    """
    if len(rows) > MOST_ROWS:
        raise SettingsError(
            f"figure classes: {len(rows)} rows cannot be told apart; allowed: at most {MOST_ROWS}, "
            "chosen with --where or pooled with --rows"
        )
    found = {row: accuracies(store, values, protocol) for row, values in rows.items()}
    ids = {class_id for each in found.values() for class_id in each}
    if not ids:
        raise SettingsError("figure classes: no done trial has accuracies of classes")
    table = {names[c]: {row: each[c] for row, each in found.items() if c in each} for c in sorted(ids)}
    return dict(sorted(table.items(), key=lambda item: -statistics.fmean(item[1].values())))


def changes(
    store: Store, before: Sequence[CellValue], after: Sequence[CellValue], protocol: str, names: Sequence[str]
) -> dict[str, float]:
    """Return class name -> change of accuracy in percentage points, the largest gain first."""
    old, new = (accuracies(store, values, protocol) for values in (before, after))
    found = {names[c]: new[c] - old[c] for c in old.keys() & new.keys()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def draw(found: Mapping[str, Mapping[str, float]], title: str = "") -> Any:
    """Return the figure of accuracies: bars of one row, points of several."""
    classes = list(found)
    rows = list(dict.fromkeys(row for each in found.values() for row in each))
    # a legend line takes as much room as a class
    legend = 0 if len(rows) == 1 else 0.15 * len(rows)
    figure, axes = style.new(height=0.75 + 0.19 * len(classes) + legend)
    for row, look in zip(rows, style.looks(), strict=False):
        places = [i for i, c in enumerate(classes) if row in found[c]]
        values = [found[classes[i]][row] for i in places]
        if len(rows) == 1:
            axes.barh(places, values, color=look["color"], height=0.7)
        else:
            axes.plot(
                values,
                places,
                linestyle="",
                color=look["color"],
                marker=look["marker"],
                label=row,
                alpha=0.85,
            )
    axes.set_yticks(range(len(classes)), [style.shorten(c) for c in classes])
    axes.set(xlabel="accuracy (%)", xlim=(-2, 102), ylim=(len(classes) - 0.4, -0.6), title=title)
    axes.grid(axis="x" if len(rows) == 1 else "both", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    if len(rows) > 1:
        style.legend_below(figure, rows)
    return figure


def draw_changes(found: Mapping[str, float], title: str) -> Any:
    """Return the figure of changes: gains and losses in two colours, hatched apart."""
    figure, axes = style.new(height=0.75 + 0.17 * len(found))
    values = list(found.values())
    gain, loss = style.COLOURS[:2]
    bars = axes.barh(range(len(found)), values, color=[gain if v >= 0 else loss for v in values], height=0.7)
    for bar, value in zip(bars, values, strict=True):
        if value < 0:
            bar.set(hatch="////", edgecolor="white", linewidth=0)
    axes.set_yticks(range(len(found)), [style.shorten(c) for c in found])
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(xlabel="change of accuracy (percentage points)", title=title)
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    return figure
