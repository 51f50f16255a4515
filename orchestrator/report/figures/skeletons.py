"""Strips of unseen recordings with the scores of all classes beside them (Fig. 8 of the paper)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import SettingsError
from orchestrator.report.figures import style

if TYPE_CHECKING:
    from dvta.skeleton.splits import Samples
    from orchestrator.execute.trained import TrainedTrial

SAMPLES, POSES, CLASSES_SHOWN = 4, 6, 5
RIGHT, LEFT, MIDDLE = style.COLOURS[1], style.COLOURS[0], "#595959"


@dataclasses.dataclass(frozen=True)
class Strip:
    """One unseen sample.

    Attributes:
        poses: (POSES, 25, 3) joint positions, evenly spaced in time; the mean frame is left out.
        truth: the name of its class.
        scores: class name -> share of the softmax, the best first; ``truth`` is among those shown.
    """

    poses: np.ndarray
    truth: str
    scores: dict[str, float]

    @property
    def right(self) -> bool:
        """Whether the best class is the true one."""
        return next(iter(self.scores)) == self.truth


def strips(trained: TrainedTrial) -> list[Strip]:
    """Return samples of different unseen classes, the middle one of each, with the scores of classes.

    Raises:
        SettingsError: the features are simulated, so that no recording belongs to them, or the
            prepared skeletons are not those of the features.
        DataError: no skeletons are prepared.
    """
    import torch

    data = trained.features
    if data.source == "simulated":
        raise SettingsError(
            "figure skeletons: simulated features come from no recording; allowed: a real trial"
        )
    samples = trained.prepared().ztest
    label = data.z_label.numpy()
    if not np.array_equal(samples.labels, label):
        raise SettingsError(
            f"figure skeletons: {samples.path} has {len(samples)} unseen samples in another order than the "
            f"{len(label)} of the features of {data.dataset} {data.split}; prepare and encode them together"
        )
    classes = data.unseen[:: max(1, len(data.unseen) // SAMPLES)][:SAMPLES]
    rows = [int(own[len(own) // 2]) for c in classes if len(own := np.flatnonzero(label == c))]
    trained.method.eval()
    with torch.inference_mode():
        text = data.class_text.select(data.unseen)
        shares = trained.method.class_scores(data.ztest[rows], text).softmax(1).numpy()
    names = [data.class_names[c] for c in data.unseen]
    return [
        Strip(
            _poses(samples, row),
            data.class_names[label[row]],
            _shown(share, names, data.class_names[label[row]]),
        )
        for row, share in zip(rows, shares, strict=True)
    ]


def _shown(shares: np.ndarray, names: list[str], truth: str) -> dict[str, float]:
    """Return the best classes and the true one, the best first."""
    order = [names[i] for i in np.argsort(-shares, kind="stable")]
    kept = order[:CLASSES_SHOWN]
    if truth not in kept:
        kept[-1] = truth
    share = dict(zip(names, map(float, shares), strict=True))
    return {name: share[name] for name in kept}


def _poses(samples: Samples, row: int) -> np.ndarray:
    body = samples.batch(np.array([row]))[0, :, :, :, 0]  # (3, T, 25), the first person
    moving = np.flatnonzero(np.abs(body).sum((0, 2)) > 0)
    frames = moving if len(moving) else np.arange(body.shape[1])
    chosen = frames[np.linspace(0, len(frames) - 1, POSES).round().astype(int)]
    return body[:, chosen].transpose(1, 2, 0)


def draw(found: list[Strip]) -> Any:
    """Return the figure: a strip of poses and the bars of its classes a sample."""
    figure, axes = style.new(
        len(found), 2, width=style.TEXT, height=0.35 + 1.15 * len(found), width_ratios=(2.2, 1), squeeze=False
    )
    for (strip, bars), sample in zip(axes, found, strict=True):
        _draw_poses(strip, sample)
        names = list(sample.scores)
        colours = [style.COLOURS[2] if n == sample.truth else "#9a9a9a" for n in names]
        values = [100 * v for v in sample.scores.values()]
        bars.barh(range(len(names)), values, color=colours, height=0.7)
        for i, value in enumerate(values):
            bars.text(min(value + 2, 100), i, f"{value:.0f}", va="center", fontsize=6)
        labels = [f"{style.shorten(n, 26)} ✓" if n == sample.truth else style.shorten(n, 28) for n in names]
        bars.set_yticks(range(len(names)), labels, fontsize=6)
        bars.invert_yaxis()
        bars.set(xlim=(0, 112), xticks=[])
        bars.spines["bottom"].set_visible(False)
    axes[-1][0].text(
        0, -0.02, "left limbs blue, right limbs orange", transform=axes[-1][0].transAxes, fontsize=6, va="top"
    )
    axes[-1][1].set_xlabel("share of the score (%), ✓ true class")
    return figure


def _draw_poses(axes: Any, sample: Strip) -> None:
    """Draw poses side by side as seen from where the person shows its widest side, the vertical upright."""
    from dvta.skeleton.graph import BONES, NTU_JOINTS

    up = int(np.argmax(np.ptp(sample.poses, axis=1).mean(0)))
    flat = [i for i in range(3) if i != up]
    across = flat[int(np.argmax(np.ptp(sample.poses, axis=1).mean(0)[flat]))]
    sign = np.sign(sample.poses[:, 3, up].mean() - sample.poses[:, 14, up].mean()) or 1.0
    width = 1.15 * max(float(np.ptp(sample.poses[:, :, across], axis=1).max()), 0.3)
    for i, pose in enumerate(sample.poses):
        centre = (pose[:, across].max() + pose[:, across].min()) / 2
        x, y = pose[:, across] - centre + i * width, sign * pose[:, up]
        for child, parent in BONES:
            side = NTU_JOINTS[child]
            colour = LEFT if "left" in side else RIGHT if "right" in side else MIDDLE
            axes.plot(
                x[[child, parent]], y[[child, parent]], color=colour, linewidth=1.1, solid_capstyle="round"
            )
    axes.set_aspect("equal", anchor="W")
    axes.set_axis_off()
    mark = "recognised" if sample.right else f"taken for {next(iter(sample.scores))}"
    axes.set_title(f"{sample.truth}: {mark}", loc="left")
