"""RelationNet for zero-shot classes: texts embedded among the features, a network that relates them.

Features enter as they are, as in the original: scaled to unit length they are too small for the
sigmoid, and the scores stay constant.

Sung et al., 2018; for skeletons Jasani and Mazagonwalla, 2019, without public code. Widths and
settings for skeletons are ours.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import OptionError
from dvta.features import ClassText
from dvta.methods.base import METHODS, Method
from dvta.options import Options


@dataclasses.dataclass(frozen=True)
class RelationNetOptions(Options):
    """``attribute_hidden``, ``relation_hidden``: widths of the hidden layers."""

    attribute_hidden: int = 1024
    relation_hidden: int = 400

    def __post_init__(self) -> None:
        for name in ("attribute_hidden", "relation_hidden"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}: {getattr(self, name)!r} is impossible; allowed: 1 or more")


@METHODS.register("relationnet")
class RelationNet(Method):
    """Attribute network Dt -> Dv and relation network 2Dv -> 1."""

    options_class = RelationNetOptions
    training_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-4, "schedule": "constant"}
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
