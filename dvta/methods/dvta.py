"""DVTA: dual visual-text alignment, with every switch of the paper and of its published code.

The pairwise metric network is written factored: its first layer is linear on a concatenation, so
each side is projected once and the pairs are formed by adding. Texts that are the same for every
sample of a class are scored once per class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.facts.dvta import DVTAFacts, DVTAOptions
from dvta.features import ClassText
from dvta.losses import LOSSES
from dvta.methods import official
from dvta.methods.base import METHODS, Method
from dvta.methods.metric_network import MetricNetwork

RESIDUAL_WIDTH = 256


def leaky_sigmoid(x: Tensor, gamma: float) -> Tensor:
    """Return the activation of paper eq. 7: the sigmoid above 0, ``gamma e^(gamma x)`` at and below.

    It jumps at 0, from gamma to 1/2, as printed.
    """
    # clamped so that the branch not taken cannot overflow in the backward pass
    return torch.where(x > 0, torch.sigmoid(x), gamma * torch.exp(gamma * x.clamp(max=0)))


class VisualProjector(nn.Module):
    """Four linear layers with ReLU between them, (N, Dv) -> (N, Dt).

    The first layer adds its input, which needs Dv = 256, the width of every encoder of the paper;
    at another width it does not.
    """

    def __init__(self, visual_dim: int, text_dim: int) -> None:
        super().__init__()
        self.l0 = nn.Linear(visual_dim, RESIDUAL_WIDTH)
        self.l1 = nn.Linear(RESIDUAL_WIDTH, 384)
        self.l2 = nn.Linear(384, 512)
        self.l3 = nn.Linear(512, text_dim)
        self._residual = visual_dim == RESIDUAL_WIDTH

    def forward(self, x: Tensor) -> Tensor:
        """Project (N, Dv) features."""
        first = self.l0(x) + x if self._residual else self.l0(x)
        return self.l3(torch.relu(self.l2(torch.relu(self.l1(torch.relu(first))))))  # type: ignore[no-any-return]


class _Texts:
    """The text side of a batch: tokens projected once per class, mixed per sample where SDE is on."""

    def __init__(self, values: Tensor, keys: Tensor | None) -> None:
        self.values = values  # (C, Dt), or (C, 2, Dt) with SDE
        self.keys = keys  # (C, 2, Dt) with SDE


@METHODS.register("dvta")
class DVTA(DVTAFacts, Method):
    """The DVTA network (paper section 3)."""

    options: DVTAOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: DVTAOptions | None = None) -> None:
        super().__init__()
        options = options or DVTAOptions()
        self.options = options
        deep = options.visual_projector == "deep"
        self.visual_projector = (
            VisualProjector(visual_dim, text_dim) if deep else nn.Linear(visual_dim, text_dim)
        )
        self.text_projector = (
            nn.Linear(text_dim, text_dim) if options.text_projector == "linear" else nn.Identity()
        )
        self.metric = MetricNetwork(text_dim) if options.aa else None
        both = options.aa and not options.tau_shared and not options.aa_only
        temperatures = torch.full((2 if both else 1,), options.tau)
        if options.tau_learnable:
            self.temperatures = nn.Parameter(temperatures)
        else:
            self.register_buffer("temperatures", temperatures)

    # --- the contract ---------------------------------------------------------------------------

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return the loss of a batch on its own B x B pairs (paper eq. 10)."""
        options = self.options
        v = self._visual(visual)  # (B, Dt)
        classes, column = labels.unique(return_inverse=True)
        texts = self._texts(text, classes)
        pairwise = options.sde and options.sde_train_pairing == "pairwise"
        if not options.sde or pairwise:
            # (B, K) over the K classes of the batch, then one column per sample
            direct, metric = self._similarities(v, texts, pairwise=pairwise)
            direct, metric = self._expand(direct, column), self._expand(metric, column)
        else:
            own = _Texts(texts.values[column], None if texts.keys is None else texts.keys[column])
            weights = self._attention(v, own.keys, own=True)  # (B, 2)
            augmented = torch.einsum("bs,bsd->bd", weights, own.values)
            direct, metric = self._similarities(v, _Texts(self._finish(augmented), None))
        v2t, t2v = self._log_probabilities(direct, metric)
        loss = LOSSES.get(options.loss)
        return loss(v2t, t2v, labels, target=options.target, reduce=options.direction_reduce)

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) scores: combined log-probabilities over the U classes, or summed logits."""
        v = self._visual(visual)
        texts = self._texts(text, text.ids)
        direct, metric = self._similarities(v, texts, pairwise=self.options.sde)
        if metric is None:
            assert direct is not None
            return direct
        if direct is None:
            return metric
        if self.options.combine == "sum_logits":
            return direct + metric
        return _log_mean(direct.log_softmax(1), metric.log_softmax(1))

    def extra_metrics(self) -> dict[str, float]:
        """Return the temperatures as they ended."""
        values = self.temperatures.detach().tolist()
        return dict(
            zip(("final_tau_da", "final_tau_aa") if len(values) > 1 else ("final_tau",), values, strict=True)
        )

    def macs_per_pair(self) -> int:
        """Return one use of every weight matrix: 4,883,200 at 256/768."""
        return sum(p.numel() for p in self.parameters() if p.ndim == 2)

    def similarity_matrices(self, visual: Tensor, labels: Tensor, text: ClassText) -> dict[str, Tensor]:
        """Return the (B, B) matrices of Fig. 7: ``da``, ``aa``, ``combined`` and ``truth``."""
        v = self._visual(visual)
        direct, metric = self._similarities(v, self._texts(text, labels), pairwise=self.options.sde)
        found = {"da": direct, "aa": metric}
        found["combined"] = self._log_probabilities(direct, metric)[0].exp()
        found["truth"] = (labels[:, None] == labels[None, :]).float()
        return {name: matrix for name, matrix in found.items() if matrix is not None}

    # --- the parts ------------------------------------------------------------------------------

    def _visual(self, visual: Tensor) -> Tensor:
        return self.visual_projector(F.normalize(visual, dim=-1))  # type: ignore[no-any-return]

    def _texts(self, text: ClassText, ids: Tensor) -> _Texts:
        """Return the tokens of some classes, projected as far as no sample is needed."""
        chosen = text.select(ids)
        labels = F.normalize(chosen.labels, dim=-1)
        if not self.options.sde:
            return _Texts(self.text_projector(labels), None)
        if chosen.contexts is None:
            raise DataError(
                "sde: true needs context texts, and there are none; "
                "allowed: sde: false, or <text>_contexts.npy beside the label features"
            )
        tokens = torch.stack((labels, F.normalize(chosen.contexts, dim=-1)), dim=1)  # (K, 2, Dt)
        if self.options.sde_order == "attend_then_project":
            return _Texts(tokens, tokens)
        projected = self.text_projector(tokens)
        if self.options.sde_context_proj == "none":
            projected = torch.stack((projected[:, 0], tokens[:, 1]), dim=1)
        return _Texts(projected, projected)

    def _attention(self, v: Tensor, keys: Tensor | None, *, own: bool = False) -> Tensor:
        """Return the weights of the two tokens: (B, 2) for own texts, else (B, K, 2) (eq. 3)."""
        assert keys is not None
        logits = torch.einsum("bd,bsd->bs" if own else "bd,ksd->bks", v, keys)
        if self.options.sde_scale == "inv_sqrt_h":
            logits = logits / math.sqrt(v.shape[-1])
        return logits.softmax(-1)

    def _finish(self, mixture: Tensor) -> Tensor:
        """Project what was mixed before projection."""
        late = self.options.sde_order == "attend_then_project"
        return self.text_projector(mixture) if late else mixture  # type: ignore[no-any-return]

    def _similarities(
        self, v: Tensor, texts: _Texts, *, pairwise: bool = False
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the (B, K) logits of DA and AA; ``pairwise`` conditions every text on its sample."""
        options = self.options
        direct = metric = None
        weights = self._attention(v, texts.keys) if pairwise else None  # (B, K, 2)
        # weights sum to one, so mixing projected tokens equals projecting the mixture
        values = self._finish(texts.values) if pairwise else texts.values
        if not options.aa_only:
            direct = self._cosine(v, values, weights) / self.temperatures[0]
        if self.metric is not None:
            if options.aa_detach and self.training:
                v, values = v.detach(), values.detach()
                weights = None if weights is None else weights.detach()
            half = self.metric.text_half(values)  # (K, 2Dt), or (K, 2, 2Dt)
            if weights is not None:
                half = torch.einsum("bks,ksh->bkh", weights, half)
            energy = self.metric(self.metric.visual_half(v), half)
            metric = self._activate(energy) / self.temperatures[-1]
        return direct, metric

    @staticmethod
    def _cosine(v: Tensor, values: Tensor, weights: Tensor | None) -> Tensor:
        """Return cos(v_i, t_j); with weights, t_ij is the mixture of j's two values for i."""
        unit = F.normalize(v, dim=-1)
        if weights is None:
            return unit @ F.normalize(values, dim=-1).T
        dots = torch.einsum("bd,ksd->bks", unit, values)
        gram = torch.einsum("ksd,krd->ksr", values, values)
        squared = torch.einsum("bks,ksr,bkr->bk", weights, gram, weights)
        return (weights * dots).sum(-1) / squared.clamp_min(1e-24).sqrt()

    def _activate(self, energy: Tensor) -> Tensor:
        if self.options.aa_activation == "leaky_sigmoid":
            return leaky_sigmoid(energy, self.options.gamma)
        return torch.sigmoid(energy) if self.options.aa_activation == "sigmoid" else energy

    def _log_probabilities(self, direct: Tensor | None, metric: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return both directions' (B, B) log-probabilities of the combined similarities (eq. 9)."""
        parts = [m.float() for m in (direct, metric) if m is not None]
        if len(parts) == 2 and self.options.combine == "sum_logits":
            parts = [parts[0] + parts[1]]
        both = [(m.log_softmax(1), m.T.log_softmax(1)) for m in parts]
        if len(both) == 1:
            return both[0]
        return _log_mean(both[0][0], both[1][0]), _log_mean(both[0][1], both[1][1])

    @staticmethod
    def _expand(matrix: Tensor | None, column: Tensor) -> Tensor | None:
        return None if matrix is None else matrix[:, column]

    # --- the authors' checkpoints ---------------------------------------------------------------

    @classmethod
    def from_official(cls, state_dict: Mapping[str, Tensor]) -> DVTA:
        """Build the published model from its state dict.

        Args:
            state_dict: keys ``direct_alignment.visual_projector.l0`` to ``l3``,
                ``direct_alignment.text_projector``, ``augmented_alignment.net.0/2/4`` (each with
                ``.weight`` and ``.bias``) and ``scaling_factors`` (2,).

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        layers = {f"direct_alignment.visual_projector.l{i}": f"visual_projector.l{i}" for i in range(4)}
        layers["direct_alignment.text_projector"] = "text_projector"
        layers |= {f"augmented_alignment.net.{2 * i}": f"metric.l{i}" for i in range(3)}
        names = {**official.parts(layers), "scaling_factors": "temperatures"}
        what = "a DVTA checkpoint of its authors"
        official.check_keys(state_dict, names, what)
        visual_dim = state_dict["direct_alignment.visual_projector.l0.weight"].shape[1]
        text_dim = state_dict["direct_alignment.text_projector.weight"].shape[0]
        options = DVTAOptions.resolve({"preset": "official"})
        assert isinstance(options, DVTAOptions)
        model = cls(visual_dim=visual_dim, text_dim=text_dim, options=options)
        official.load(model, state_dict, names, what)
        return model


def _log_mean(a: Tensor, b: Tensor) -> Tensor:
    """Return log((e^a + e^b) / 2)."""
    return torch.logaddexp(a, b) - math.log(2.0)
