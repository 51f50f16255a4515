"""JPoSE: a verb space, a noun space and a joint one, as in SynSE's repository.

Wray et al., 2019. There the stop (of up to 2000 epochs) and the learning rate follow the accuracy
on the unseen test classes; here neither does, and the default is 300 epochs at a constant rate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.facts.embeddings import JPoSEFacts, JPoSEOptions
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import METHODS, Method
from dvta.methods.hinge import ranking_hinge

SPACE, HIDDEN = 50, 512
TRIPLET_WEIGHT = 0.01


class _Space(nn.Module):
    """One part of speech: visual and text side into a shared 50-d space."""

    def __init__(self, visual_dim: int, text_dim: int, hidden: bool) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Linear(visual_dim, SPACE), nn.Tanh())
        self.text = (
            nn.Sequential(nn.Linear(text_dim, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, SPACE), nn.ReLU())
            if hidden
            else nn.Sequential(nn.Linear(text_dim, SPACE), nn.Tanh())
        )


@METHODS.register("jpose")
class JPoSE(JPoSEFacts, Method):
    """Two part-of-speech spaces and the joint space of both."""

    options: JPoSEOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: JPoSEOptions | None = None) -> None:
        super().__init__()
        self.options = options or JPoSEOptions()
        rule = self.options.text_hidden
        hidden = rule == "always" or (rule == "auto" and text_dim == 1024)
        self.verb = _Space(visual_dim, text_dim, hidden)
        self.noun = _Space(visual_dim, text_dim, hidden)
        self.joint_visual = nn.Sequential(nn.Linear(2 * SPACE, SPACE), nn.Tanh())
        self.joint_text = nn.Sequential(nn.Linear(2 * SPACE, SPACE), nn.Tanh())
        self.register_buffer("seen", torch.empty(0, dtype=torch.int64), persistent=False)

    def prepare(self, features: FeatureSet) -> None:
        """Note the seen classes: the ranking losses run over them."""
        self.seen = torch.tensor(features.seen, device=features.train.device)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the two spaces, and the joint one with weight decay 1e-3."""
        joint = [*self.joint_visual.parameters(), *self.joint_text.parameters()]
        chosen = {id(p) for p in joint}
        spaces = [p for p in self.parameters() if id(p) not in chosen]
        return [{"params": spaces, "lr": lr}, {"params": joint, "lr": lr, "weight_decay": 1e-3}]

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the three ranking losses and the two weighted triplet losses."""
        options = self.options
        visuals, own = self._visual(visual), self._text(text.select(labels))
        with torch.no_grad():
            classes = self._text(text.select(self.seen))
        ranking = sum(
            ranking_hinge(v, t, c, options.margin) for v, t, c in zip(visuals, own, classes, strict=True)
        )
        assert text.verb_ids is not None
        assert text.noun_ids is not None
        mined = sum(
            triplet(v, words[labels], options.margin, options.triplet_pairs)
            for v, words in zip(visuals, (text.verb_ids, text.noun_ids), strict=False)
        )
        return ranking + TRIPLET_WEIGHT * mined  # type: ignore[return-value]

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) dot products in the joint space."""
        return self._visual(visual)[2] @ self._text(text)[2].T

    def _visual(self, visual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit (N, 50) features in the verb, noun and joint space."""
        v = F.normalize(visual, dim=-1)
        return self._joined(self.verb.visual(v), self.noun.visual(v), self.joint_visual)

    def _text(self, text: ClassText) -> tuple[Tensor, Tensor, Tensor]:
        if text.verbs is None or text.nouns is None:
            raise DataError("jpose needs verb and noun texts: <text>_verbs.npy and <text>_nouns.npy")
        verb = self.verb.text(F.normalize(text.verbs, dim=-1))
        noun = self.noun.text(F.normalize(text.nouns, dim=-1))
        return self._joined(verb, noun, self.joint_text)

    @staticmethod
    def _joined(verb: Tensor, noun: Tensor, join: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        verb, noun = F.normalize(verb, dim=-1), F.normalize(noun, dim=-1)
        return verb, noun, F.normalize(join(torch.cat((verb, noun), dim=1)), dim=-1)


def triplet(z: Tensor, words: Tensor, margin: float, pairs: str) -> Tensor:
    """Return the triplet loss mined in a batch, per sample.

    The positive of a sample is the least similar one of the same word, its negative the most
    similar one of another word; samples without another word are left out.

    Args:
        z: (B, H) features. words: (B,) word numbers.
        pairs: ``own``, or ``all``: every positive against every negative, as published.
    """
    with torch.no_grad():
        similar = z @ z.T
        same = words[:, None] == words[None, :]
        positive = similar.masked_fill(~same, float("inf")).argmin(1)
        negative = similar.masked_fill(same, float("-inf")).argmax(1)
        usable = ~same.all(1)
    if not usable.any():
        return z.sum() * 0.0
    z_u, p, n = z[usable], z[positive[usable]], z[negative[usable]]
    if pairs == "all":
        # mined samples are constants in the published code
        p, n = p.detach(), n.detach()
        return (z_u @ n.T - z_u @ p.T + margin).clamp_min(0).sum() / len(z)
    return ((z_u * n).sum(1) - (z_u * p).sum(1) + margin).clamp_min(0).sum() / len(z)
