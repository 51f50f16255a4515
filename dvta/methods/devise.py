"""DeViSE: one linear map and a hinge ranking loss (Frome et al., 2013).

No code for skeletons is published; margin and form are the original's, the settings ours.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import OptionError
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import METHODS, Method
from dvta.options import Options


@dataclasses.dataclass(frozen=True)
class DeViSEOptions(Options):
    """``margin``: by how much the true class must lead (0.1 in the publication)."""

    margin: float = 0.1

    def __post_init__(self) -> None:
        if self.margin <= 0:
            raise OptionError(f"margin: {self.margin!r} is impossible; allowed: a number above 0")


@METHODS.register("devise")
class DeViSE(Method):
    """A linear map Dv -> Dt; scores are dot products with unit texts."""

    options_class = DeViSEOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "schedule": "constant"}
    options: DeViSEOptions

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str]:
        """Models that differ in the margin."""
        return frozenset({"margin"})

    def __init__(self, *, visual_dim: int, text_dim: int, options: DeViSEOptions | None = None) -> None:
        super().__init__()
        self.options = options or DeViSEOptions()
        self.map = nn.Linear(visual_dim, text_dim)
        self.register_buffer("seen", torch.empty(0, dtype=torch.int64), persistent=False)

    def prepare(self, features: FeatureSet) -> None:
        """Note the seen classes: the ranking loss runs over them."""
        self.seen = torch.tensor(features.seen, device=features.train.device)

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the hinge over the wrong seen classes, summed over classes, averaged over samples."""
        scores = self.class_scores(visual, text.select(self.seen))  # (B, S)
        own = self.seen[None, :] == labels[:, None]
        true = scores.gather(1, own.int().argmax(1, keepdim=True))
        return (self.options.margin - true + scores).clamp_min(0).masked_fill(own, 0.0).sum() / len(visual)

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) dot products of mapped unit features and unit texts."""
        return self.map(F.normalize(visual, dim=-1)) @ F.normalize(text.labels, dim=-1).T  # type: ignore[no-any-return]
