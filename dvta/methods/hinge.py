"""The ranking loss ReViSE and JPoSE share."""

from __future__ import annotations

from torch import Tensor


def ranking_hinge(visual: Tensor, own: Tensor, classes: Tensor, margin: float) -> Tensor:
    """Return ``(1/B) sum_i sum_c max(0, <v_i, t_c> - <v_i, t_yi> + margin)``.

    The true class is among the classes and adds the margin, as published; they carry no gradient.

    Args:
        visual: (B, H). own: (B, H) texts of the samples' classes. classes: (S, H) all seen classes.
    """
    true = (visual * own).sum(1, keepdim=True)
    return (visual @ classes.detach().T - true + margin).clamp_min(0).sum() / len(visual)
