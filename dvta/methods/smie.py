"""SMIE: a network that estimates the mutual information of skeletons and texts (Zhou et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.embeddings import SMIEFacts, SMIEOptions
from dvta.features import ClassText
from dvta.methods import official
from dvta.methods.base import METHODS, Method

TEMPORAL_WEIGHT, TEMPORAL_MARGIN = 0.5, 0.1


@METHODS.register("smie")
class SMIE(SMIEFacts, Method):
    """The score network D on ``[v ; t]``: Dv + Dt -> 1024 -> 512 -> 1."""

    options: SMIEOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: SMIEOptions | None = None) -> None:
        super().__init__()
        self.options = options or SMIEOptions()
        self.l0 = nn.Linear(visual_dim + text_dim, 1024)
        self.l1 = nn.Linear(1024, 512)
        self.l2 = nn.Linear(512, 1)
        self._visual_dim = visual_dim

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return minus the Jensen-Shannon estimate, plus the temporal constraint where it is on.

        Args:
            visual: (B, Dv), or (B, 1 + K, Dv) with K masked variants of every sample.
            labels: (B,) global ids.
            text: texts of all classes.
        """
        t = F.normalize(text.labels[labels], dim=-1)
        whole = visual if visual.ndim == 2 else visual[:, 0]
        v = self._normalised(whole)
        false = F.softplus(self._score(v.roll(-1, 0), t)).mean()
        estimate = -F.softplus(-self._score(v, t)).mean() - false
        if not self.options.temporal:
            return -estimate
        variant = int(torch.randint(1, visual.shape[1], ()))  # one mask for the whole batch
        masked = self._normalised(visual[:, variant])
        less = -F.softplus(-self._score(masked, t)).mean() - false
        return -estimate + TEMPORAL_WEIGHT * (TEMPORAL_MARGIN - (estimate - less)).clamp_min(0)

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) values of ``-softplus(-D)``."""
        v = self._normalised(visual) if self.options.ln_at_test else visual
        ours = F.linear(v, self.l0.weight[:, : self._visual_dim], self.l0.bias)
        theirs = F.linear(F.normalize(text.labels, dim=-1), self.l0.weight[:, self._visual_dim :])
        return -F.softplus(-self._rest(ours[:, None] + theirs[None]))

    def macs_per_pair(self) -> int:
        """Return one use of every weight matrix: 1,573,376 at 256/768."""
        return sum(p.numel() for p in self.parameters() if p.ndim == 2)

    def _normalised(self, visual: Tensor) -> Tensor:
        return F.layer_norm(visual, visual.shape[-1:])

    def _score(self, v: Tensor, t: Tensor) -> Tensor:
        """Return D (B,) of matching rows."""
        return self._rest(self.l0(torch.cat((v, t), dim=1)))

    def _rest(self, first: Tensor) -> Tensor:
        return self.l2(torch.relu(self.l1(torch.relu(first)))).squeeze(-1)  # type: ignore[no-any-return]

    @classmethod
    def from_official(cls, state_dict: Mapping[str, Tensor], *, visual_dim: int = 256) -> SMIE:
        """Build the published model from its state dict.

        Args:
            state_dict: keys ``global_D.l0`` to ``l2``, each with ``.weight`` and ``.bias``.
            visual_dim: width of the visual feature; the rest of the input is text.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        names = {f"global_D.l{i}.{p}": f"l{i}.{p}" for i in range(3) for p in ("weight", "bias")}
        what = "an SMIE checkpoint of its authors"
        width = official.width(state_dict, "global_D.l0.weight", 1, what)
        options = SMIEOptions.resolve({"preset": "official"})
        assert isinstance(options, SMIEOptions)
        model = cls(visual_dim=visual_dim, text_dim=max(1, width - visual_dim), options=options)
        official.load(model, state_dict, names, what)
        return model
