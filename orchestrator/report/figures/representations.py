"""Two principal components of unseen samples, before and after the visual projector (Fig. 4 of the paper)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.report.figures import style
from orchestrator.report.figures.similarity import even_batch

if TYPE_CHECKING:
    import torch

    from orchestrator.execute.trained import TrainedTrial

CLASSES_SHOWN = 6  # as in the paper
SAMPLES = 300


@dataclasses.dataclass(frozen=True)
class Points:
    """(N, 2) principal components by space, the class name of every sample, and the variance they explain."""

    spaces: Mapping[str, np.ndarray]
    explained: Mapping[str, float]
    names: tuple[str, ...]


def points(trained: TrainedTrial) -> Points:
    """Return where samples of the first six unseen classes lie, evenly drawn."""
    import torch

    data, method = trained.features, trained.method
    label = data.z_label.numpy()
    # pooled features only: (N, Dv)
    chosen = np.flatnonzero(np.isin(label, data.unseen[:CLASSES_SHOWN]))
    rows = chosen[even_batch(label[chosen], SAMPLES)]
    visual = data.ztest[torch.from_numpy(rows)]
    method.eval()
    with torch.inference_mode():
        unit = torch.nn.functional.normalize(visual, dim=-1)
        project: Callable[[torch.Tensor], torch.Tensor] = method.visual_projector  # type: ignore[assignment]
        spaces = {"features": visual, "after the visual projector": project(unit)}
    found = {space: components(x) for space, x in spaces.items()}
    return Points(
        {space: x for space, (x, _) in found.items()},
        {space: share for space, (_, share) in found.items()},
        tuple(data.class_names[c] for c in label[rows]),
    )


def components(x: torch.Tensor) -> tuple[np.ndarray, float]:
    """Return the first two principal components of (N, D), (N, 2), and the share of variance they explain."""
    import torch

    centred = (x - x.mean(0)).double()
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    share = float((singular[:2] ** 2).sum() / (singular**2).sum().clamp_min(1e-30))
    return (centred @ directions[:2].T).numpy(), share


def draw(found: Points) -> Any:
    """Return the figure of both spaces."""
    names = list(dict.fromkeys(found.names))
    figure, axes = style.new(1, 2, width=style.TEXT, height=3.1)
    labels = np.array(found.names)
    for one, (space, x) in zip(axes, found.spaces.items(), strict=True):
        for name, look in zip(names, style.looks(), strict=False):
            own = labels == name
            one.scatter(
                *x[own].T, s=12, color=look["color"], marker=look["marker"], label=style.shorten(name),
                alpha=0.75, linewidths=0,
            )  # fmt: skip
        one.set(
            title=f"{space} ({100 * found.explained[space]:.0f} % of the variance)",
            xlabel="component 1", ylabel="component 2", xticks=[], yticks=[],
        )  # fmt: skip
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, handletextpad=0.1
    )
    return figure
