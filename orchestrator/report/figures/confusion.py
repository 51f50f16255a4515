"""Which unseen classes a trained method takes for which: rows true, columns predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.report.figures import style

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial

NUMBERS_SHOWN = 12  # classes up to which the shares are printed


def shares(trained: TrainedTrial) -> tuple[np.ndarray, list[str]]:
    """Return the (U, U) share of each true class predicted as each class, in %, and class names.

    The most accurate class comes first. A class without samples has a row of zeros.
    """
    from dvta.evaluation import evaluate

    measured = evaluate(trained.method, trained.features)
    counts = measured.confusion.numpy().astype(float)
    rows = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    order = np.argsort(-rows.diagonal(), kind="stable")
    names = [trained.features.class_names[measured.classes[i]] for i in order]
    return rows[np.ix_(order, order)], names


def draw(matrix: np.ndarray, names: list[str]) -> Any:
    """Return the figure of a confusion matrix."""
    count = len(names)
    side = min(style.TEXT, max(style.COLUMN, 1.5 + 0.2 * count))
    figure, axes = style.new(width=side, height=side * 0.86)
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=100)
    labels = [style.shorten(n, 18) for n in names]
    axes.set_xticks(range(count), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), labels)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if count <= NUMBERS_SHOWN:
        for i in range(count):
            for j in range(count):
                if matrix[i, j] >= 0.5:
                    colour = "white" if matrix[i, j] > 55 else "black"
                    axes.text(j, i, f"{matrix[i, j]:.0f}", ha="center", va="center", fontsize=6, color=colour)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label("% of the true class")
    bar.outline.set_visible(False)
    return figure
