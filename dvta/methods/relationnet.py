"""RelationNet for zero-shot classes: texts embedded among the features, a network that relates them.

Features enter as they are, as in the original: scaled to unit length they are too small for the
sigmoid, and the scores stay constant.

Sung et al., 2018; for skeletons Jasani and Mazagonwalla, 2019, without public code. Widths and
settings for skeletons are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.embeddings import RelationNetFacts, RelationNetOptions
from dvta.features import ClassText
from dvta.methods.base import METHODS, Method


@METHODS.register("relationnet")
class RelationNet(RelationNetFacts, Method):
    """Attribute network Dt -> Dv and relation network 2Dv -> 1."""

    options: RelationNetOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: RelationNetOptions | None = None) -> None:
        super().__init__()
        self.options = options or RelationNetOptions()
        a, r = self.options.attribute_hidden, self.options.relation_hidden
        self.attribute = nn.Sequential(nn.Linear(text_dim, a), nn.ReLU(), nn.Linear(a, visual_dim), nn.ReLU())
        self.relation = nn.Linear(2 * visual_dim, r)
        self.score = nn.Linear(r, 1)
        self._visual_dim = visual_dim

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the squared error of the relations to the batch's classes against one-hot targets."""
        classes, column = labels.unique(return_inverse=True)
        scores = self.class_scores(visual, text.select(classes))
        return F.mse_loss(scores, F.one_hot(column, len(classes)).to(scores.dtype))

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) relation scores between 0 and 1."""
        attributes = self.attribute(F.normalize(text.labels, dim=-1))  # (U, Dv)
        # linear on a concatenation: each side once, pairs by adding
        theirs = F.linear(attributes, self.relation.weight[:, : self._visual_dim], self.relation.bias)
        ours = F.linear(visual, self.relation.weight[:, self._visual_dim :])
        return torch.sigmoid(self.score(torch.relu(ours[:, None] + theirs[None])).squeeze(-1))

    def macs_per_pair(self) -> int:
        """Return one use of every weight matrix."""
        return sum(p.numel() for p in self.parameters() if p.ndim == 2)
