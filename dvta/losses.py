"""The three losses of Table 8, on log-probabilities of a batch.

Every loss takes ``v2t`` (B, B): row i holds the log-probabilities of sample i over the texts of the
batch, ``t2v`` (B, B): row j those of text j over the samples, and the batch's labels. A loss of
your own has the same signature and registers under the entry-point group ``dvta.losses``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dvta.facts import LOSSES

Loss = Callable[..., Tensor]

SHARPNESS = 10.0  # the published code's target is softmax(10 Y)


def targets(labels: Tensor, target: str) -> Tensor:
    """Return the (B, B) target rows of equal labels, each summing to 1.

    Args:
        labels: (B,) class ids.
        target: ``hard_normalised`` shares the row among the k positives (paper, after eq. 5);
            ``softmax10`` is the softmax of ten times the 0/1 row (published code).
    """
    positives = labels[:, None] == labels[None, :]
    if target == "softmax10":
        return torch.softmax(SHARPNESS * positives.float(), dim=1)
    return positives / positives.sum(1, keepdim=True)


@LOSSES.register("kld")
def kld(
    v2t: Tensor, t2v: Tensor, labels: Tensor, *, target: str = "hard_normalised", reduce: str = "mean"
) -> Tensor:
    """Return KL(target || prediction), averaged over rows (paper eq. 5 and 10).

    Args:
        v2t, t2v: (B, B) log-probabilities.
        labels: (B,) class ids.
        target: see :func:`targets`.
        reduce: ``mean`` or ``sum`` of the two directions.
    """
    q = targets(labels, target).to(v2t.dtype)
    negative_entropy = torch.special.xlogy(q, q).sum()
    total = 2 * negative_entropy - (q * v2t).sum() - (q * t2v).sum()
    return total / len(labels) / (2.0 if reduce == "mean" else 1.0)


@LOSSES.register("infonce")
def info_nce(
    v2t: Tensor, t2v: Tensor, labels: Tensor, *, target: str | None = None, reduce: str = "mean"
) -> Tensor:
    """Return the InfoNCE loss: the sample's own text is the only positive, both directions."""
    total = -(v2t.diagonal().mean() + t2v.diagonal().mean())
    return total / 2 if reduce == "mean" else total


@LOSSES.register("softmax_ce")
def softmax_ce(
    v2t: Tensor, t2v: Tensor, labels: Tensor, *, target: str | None = None, reduce: str = "mean"
) -> Tensor:
    """Return the cross-entropy of the sample's own text, from sample to text only."""
    return -v2t.diagonal().mean()
