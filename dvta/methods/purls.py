"""PURLS: body parts and phases of the motion, each aligned with its own text (Zhu et al., 2024)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.datasets import PARTS
from dvta.errors import DataError, OptionError
from dvta.facts.embeddings import PURLSFacts, PURLSOptions
from dvta.features import ClassText
from dvta.methods.base import METHODS, Method

KEY, HEADS = 150, 2
WIDTH = 1024
GLOBAL = PARTS.index("global")
ROWS = 4096  # pairs of sample and class scored at once


@METHODS.register("purls")
class PURLS(PURLSFacts, Method):
    """Adaptive pooling of joint-time tokens by eight texts, and a projection of all eight parts."""

    options: PURLSOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: PURLSOptions | None = None) -> None:
        super().__init__()
        self.options = options or PURLSOptions()
        parts = len(PARTS)
        self.query = nn.Linear(text_dim, HEADS * KEY, bias=False)
        self.key = nn.Linear(visual_dim, HEADS * KEY, bias=False)
        for layer in (self.query, self.key):
            nn.init.kaiming_uniform_(layer.weight)
        widths = [parts * visual_dim, *[WIDTH] * (self.options.hidden_layers + 1), parts * text_dim]
        blocks: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            last = i == len(widths) - 2
            linear = nn.Linear(a, b)
            nn.init.kaiming_uniform_(linear.weight)
            blocks += [
                nn.BatchNorm1d(a),
                nn.Dropout(self.options.dropout),
                linear,
                nn.Tanh() if last else nn.SiLU(),
            ]
        self.projection = nn.Sequential(*blocks)
        self._whole = False
        self.temperatures = nn.Parameter(torch.full((parts,), math.log(1 / 0.07)))

    def batches_per_epoch(self, samples: int, batch_size: int) -> int:
        """Return one pass, less a last batch of a single sample, which cannot be normalised."""
        if batch_size < 2:
            raise OptionError(
                f"batch_size: {batch_size} is impossible; purls normalises batches of 2 or more"
            )
        whole, rest = divmod(samples, batch_size)
        return whole + (rest > 1) if whole else 1

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the cross-entropies of all parts in both directions; targets are the diagonal.

        Args:
            visual: (B, T, V, Dv) tokens. labels: (B,) global ids. text: texts of all classes.
        """
        own = self._parts(text)[labels]  # (B, 8, Dt)
        tokens = self._tokens(visual)
        pooled = torch.einsum("bpn,bnd->bpd", self._weights(tokens, own), tokens)
        projected = self.projection(pooled.flatten(1)).unflatten(1, (len(PARTS), -1))  # (B, 8, Dt)
        logits = self.temperatures[:, None, None] * torch.einsum("bpd,cpd->pbc", projected, own)
        target = torch.arange(len(labels), device=labels.device).expand(len(PARTS), -1)
        both = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum")
        both = both + F.cross_entropy(logits.mT.flatten(0, 1), target.flatten(), reduction="sum")
        return both / len(labels)

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) dot products of the global part; every candidate pools with its own texts."""
        parts = self._parts(text)  # (U, 8, Dt)
        if self._whole:
            return self._scores(visual, parts)
        step = max(1, ROWS // len(parts))
        return torch.cat([self._scores(chunk, parts) for chunk in visual.split(step)])

    def leaking_scores(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) scores as the published code has them at test: pooled with the true class's texts.

        Not a result: ``labels``, the answer, is an input. It is here to measure what that is worth.
        """
        true = self._parts(text)[(text.ids[None] == labels[:, None]).int().argmax(1)]
        tokens = self._tokens(visual)
        pooled = torch.einsum("bpn,bnd->bpd", self._weights(tokens, true), tokens)
        return self._global(pooled.flatten(1)) @ self._parts(text)[:, GLOBAL].T

    def make_exportable(self) -> None:
        """Score all samples at once: how many pieces there are is no part of a graph."""
        self._whole = True

    def macs_per_pair(self) -> int | None:
        """Measured: pooling depends on the number of tokens."""
        return None

    def _scores(self, visual: Tensor, parts: Tensor) -> Tensor:
        tokens = self._tokens(visual)
        query, key = self.query(parts), self.key(tokens)
        logits = torch.einsum("upk,bnk->bupn", query, key) / (HEADS * math.sqrt(KEY))
        pooled = torch.einsum("bupn,bnd->bupd", logits.softmax(-1), tokens)
        pairs = visual.shape[0], parts.shape[0]
        projected = self._global(pooled.flatten(0, 1).flatten(1)).unflatten(0, pairs)
        return (projected * parts[None, :, GLOBAL]).sum(-1)

    def _global(self, pooled: Tensor) -> Tensor:
        """Return the last part (N, Dt) of the projection: only it is scored."""
        *body, linear, activation = self.projection
        for block in body:
            pooled = block(pooled)
        assert isinstance(linear, nn.Linear)
        width = linear.out_features // len(PARTS)
        return activation(F.linear(pooled, linear.weight[-width:], linear.bias[-width:]))  # type: ignore[no-any-return]

    def _weights(self, tokens: Tensor, texts: Tensor) -> Tensor:
        """Return (B, 8, T V) attention; averaging the heads' scores is one product over both."""
        query, key = self.query(texts), self.key(tokens)
        return (torch.einsum("bpk,bnk->bpn", query, key) / (HEADS * math.sqrt(KEY))).softmax(-1)

    @staticmethod
    def _tokens(visual: Tensor) -> Tensor:
        """Return unit tokens (B, T V, Dv)."""
        if visual.ndim != 4:
            raise DataError(
                f"purls needs un-pooled features (N, T, V, D), got {tuple(visual.shape)}; "
                "a folder of features holds them as train_unpooled.npy and ztest_unpooled.npy"
            )
        return F.normalize(visual.flatten(1, 2), dim=-1)

    @staticmethod
    def _parts(text: ClassText) -> Tensor:
        if text.parts is None:
            raise DataError("purls needs the eight texts of every class: <text>_parts.npy, (C, 8, Dt)")
        return F.normalize(text.parts, dim=-1)
