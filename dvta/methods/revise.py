"""ReViSE: two auto-encoders with aligned codes and a ranking head, as in SynSE's repository.

Tsai et al., 2017. There the best epoch and the learning rate follow the accuracy on the unseen
test classes; here neither does.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.embeddings import ReViSEFacts, ReViSEOptions
from dvta.features import ClassText, FeatureSet
from dvta.methods.base import METHODS, Method
from dvta.methods.hinge import ranking_hinge

CODE, HEAD = 100, 50
CONTRACTIVE_WEIGHT = 1e-4
RBF = 32.0
WORD2VEC_WIDTH = 300


def _mlp(*widths: int) -> nn.Sequential:
    """Return linear layers, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers)


@METHODS.register("revise")
class ReViSE(ReViSEFacts, Method):
    """Visual and text auto-encoders with 100-d codes and 50-d heads."""

    options: ReViSEOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: ReViSEOptions | None = None) -> None:
        super().__init__()
        self.options = options or ReViSEOptions()
        # word vectors need no hidden layer
        between = () if text_dim == WORD2VEC_WIDTH else (512,)
        self.visual_encoder = _mlp(visual_dim, CODE)
        self.visual_decoder = _mlp(CODE, visual_dim)
        self.visual_head = nn.Sequential(nn.Linear(CODE, HEAD), nn.Tanh())
        self.text_encoder = _mlp(text_dim, *between, CODE)
        self.text_decoder = _mlp(CODE, *between, text_dim)
        self.text_head = nn.Sequential(nn.Linear(CODE, HEAD), nn.Tanh())
        self.register_buffer("seen", torch.empty(0, dtype=torch.int64), persistent=False)

    def prepare(self, features: FeatureSet) -> None:
        """Note the seen classes: the ranking loss runs over them."""
        self.seen = torch.tensor(features.seen, device=features.train.device)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the visual side, and the text side with weight decay 1e-3."""
        text = [
            *self.text_encoder.parameters(),
            *self.text_decoder.parameters(),
            *self.text_head.parameters(),
        ]
        chosen = {id(p) for p in text}
        visual = [p for p in self.parameters() if id(p) not in chosen]
        return [{"params": visual, "lr": lr}, {"params": text, "lr": lr, "weight_decay": 1e-3}]

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return reconstruction of both, contraction, discrepancy of the codes and ranking."""
        v = _logged(visual)
        if self.options.contractive != "none":
            v = v.requires_grad_()
        t = F.normalize(text.labels[labels], dim=-1)
        code_v, code_t = self.visual_encoder(v), self.text_encoder(t)
        loss = F.mse_loss(self.visual_decoder(code_v), v) + F.mse_loss(self.text_decoder(code_t), t)
        if self.options.contractive != "none":
            learns = self.options.contractive == "gradient"
            (slope,) = torch.autograd.grad(code_v.sum(), v, create_graph=learns, retain_graph=True)
            loss = loss + CONTRACTIVE_WEIGHT * slope.norm()
        z_v, z_t = self.visual_head(code_v), self.text_head(code_t)
        with torch.no_grad():
            classes = self.text_head(self.text_encoder(F.normalize(text.labels[self.seen], dim=-1)))
        ranking = ranking_hinge(z_v, z_t, classes, self.options.margin)
        return loss + discrepancy(code_v, code_t) + ranking  # type: ignore[no-any-return]

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) dot products of the heads."""
        z_v = self.visual_head(self.visual_encoder(_logged(visual)))
        z_t = self.text_head(self.text_encoder(F.normalize(text.labels, dim=-1)))
        return z_v @ z_t.T  # type: ignore[no-any-return]


def discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Return ``mean(K_aa + K_bb - K_ab - K_ba)`` of two (B, H) batches, ``K = exp(-32 d^2)``."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squared = x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.T
        return torch.exp(-RBF * squared.clamp_min(0))

    return (kernel(a, a) + kernel(b, b) - kernel(a, b) - kernel(b, a)).mean()


def _logged(visual: Tensor) -> Tensor:
    """Return log(1 + v); pooled activations are not negative, anything below zero counts as zero."""
    return torch.log1p(visual.clamp_min(0))
