"""Learning curves: a metric over the epochs, a line a row, bands over seeds (Fig. 5 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvta.errors import did_you_mean
from orchestrator.errors import SettingsError
from orchestrator.report.figures import style
from orchestrator.report.figures.series import Band, Rows, band
from orchestrator.store import Store

LABELS = {
    "loss": "training loss",
    "accuracy": "accuracy on the test classes (%)",
    "batch_accuracy": "mean batch accuracy (%)",
    "class_accuracy": "mean class accuracy (%)",
    "lr": "learning rate",
}


def bands(store: Store, rows: Rows, metric: str) -> dict[str, Band]:
    """Return row -> its curve over the epochs that all of its trials have; accuracies in %.

    Raises:
        SettingsError: no trial has such a metric.
    """
    ids = [v.attempt_id for values in rows.values() for v in values if v.attempt_id is not None]
    runs = store.curves(ids, [metric])
    if not any(metric in found for found in runs.values()):
        raise SettingsError(
            f"--metric {metric}: no done trial has it{did_you_mean(metric, LABELS)}; allowed: {', '.join(LABELS)}"
        )
    scale = 100.0 if "accuracy" in metric else 1.0
    found = {}
    for row, values in rows.items():
        curves: list[tuple[int | None, Mapping[float, float]]] = []
        for v in values:
            points = runs.get(v.attempt_id or 0, {}).get(metric, [])
            curves.append((v.seed, {float(epoch): scale * y for epoch, y in points}))
        found[row] = band(curves)
    return {row: each for row, each in found.items() if each.x}


def draw(found: Mapping[str, Band], metric: str, title: str = "") -> Any:
    """Return the figure of some curves."""
    tall = len(found) > 4
    figure, axes = style.new(height=2.3 + 0.14 * len(found) if tall else 2.4)
    for (row, curve), look in zip(found.items(), style.looks(), strict=False):
        label = f"{style.shorten(row)} (n={curve.n})"
        every = max(1, len(curve.x) // 8)
        axes.plot(curve.x, curve.mean, label=label, markevery=every, **look)
        if curve.n > 1:
            axes.fill_between(curve.x, curve.low, curve.high, color=look["color"], alpha=0.15, linewidth=0)
    style.epochs_axis(axes)
    axes.set(ylabel=LABELS.get(metric, metric), title=title)
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    if tall:
        style.legend_below(figure, (f"{style.shorten(row)} (n=0)" for row in found))
    else:
        axes.legend(handlelength=3)
    return figure
