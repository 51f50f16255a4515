"""DeViSE: one linear map and a hinge ranking loss (Frome et al., 2013).

No code for skeletons is published; margin and form are the original's, the settings ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.embeddings import DeViSEFacts, DeViSEOptions
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import METHODS, Method


@METHODS.register("devise")
class DeViSE(DeViSEFacts, Method):
    """A linear map Dv -> Dt; scores are dot products with unit texts."""

    options: DeViSEOptions

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
