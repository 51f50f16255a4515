"""Similarities inside a batch of all unseen classes: of DA, AA, both, and the truth (Fig. 7 of the paper)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.report.figures import style

if TYPE_CHECKING:
    from orchestrator.execute.trained import TrainedTrial

BATCH = 128
TITLES = {"da": "DA", "aa": "AA", "combined": "DA and AA", "truth": "ground truth"}


@dataclasses.dataclass(frozen=True)
class Similarities:
    """(B, B) shares by name, rows samples and columns the texts of samples; the batch goes class by class.

    Attributes:
        matrices: each row sums to one, so that one scale fits all.
        names: of the classes in order; ``bounds`` (U + 1) are where they begin and end.
    """

    matrices: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    bounds: tuple[int, ...]


def even_batch(labels: np.ndarray, most: int = BATCH) -> np.ndarray:
    """Return rows drawn evenly from every class, class by class; fewer where a class has fewer.

    Args:
        labels: (N,) class ids. most: about how many rows in all.
    """
    classes = np.unique(labels)
    each = max(1, most // max(1, len(classes)))
    rows = []
    for class_id in classes:
        own = np.flatnonzero(labels == class_id)
        count = min(each, len(own))
        # spread over the samples of the class, which lie in the order of recording
        rows.append(own[np.linspace(0, len(own) - 1, count).round().astype(int)])
    return np.concatenate(rows) if rows else np.empty(0, int)


def similarities(trained: TrainedTrial) -> Similarities:
    """Return the similarities of a batch drawn evenly from all unseen classes."""
    import torch

    data = trained.features
    rows = torch.from_numpy(even_batch(data.z_label.numpy()))
    visual, label = data.ztest[rows], data.z_label[rows]
    trained.method.eval()
    with torch.inference_mode():
        found = trained.method.similarity_matrices(visual, label, data.class_text)  # type: ignore[operator]
    matrices = {}
    for name, matrix in found.items():
        if name in ("da", "aa"):
            matrix = matrix.softmax(1)
        elif name == "truth":
            matrix = matrix / matrix.sum(1, keepdim=True)
        matrices[name] = matrix.numpy()
    classes, counts = np.unique(label.numpy(), return_counts=True)
    names = tuple(data.class_names[c] for c in classes)
    return Similarities(matrices, names, (0, *map(int, np.cumsum(counts))))


def draw(found: Similarities) -> Any:
    """Return the figure: every matrix on one colour scale, class names on the axes."""
    shown = [name for name in TITLES if name in found.matrices]
    figure, axes = style.new(1, len(shown), width=style.TEXT, height=2.8, sharex=True, sharey=True)
    # the truth's even share is the scale's end: what is above it is clipped alike in all
    top = max(float(m.max()) for name, m in found.matrices.items() if name == "truth")
    centres = [(a + b - 1) / 2 for a, b in zip(found.bounds, found.bounds[1:], strict=False)]
    small = 6 if len(centres) <= 12 else 4
    names = [style.shorten(n, 20) for n in found.names]
    for one, name in zip(axes, shown, strict=True):
        image = one.imshow(
            found.matrices[name], cmap=style.SEQUENTIAL, vmin=0, vmax=top, interpolation="nearest"
        )
        for edge in found.bounds[1:-1]:
            one.axhline(edge - 0.5, color="white", linewidth=0.4)
            one.axvline(edge - 0.5, color="white", linewidth=0.4)
        one.set_title(TITLES[name])
        one.set_xticks(centres, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=small)
        one.set_yticks(centres, names, fontsize=small)
        one.tick_params(length=0)
    axes[0].set_ylabel("sample")
    figure.supxlabel("text of", fontsize=8)
    bar = figure.colorbar(image, ax=list(axes), shrink=0.75, pad=0.01, extend="max")
    bar.set_label("share of the row")
    return figure
