"""Facts of DVTA: every switch of the paper and of its published code."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

from dvta.errors import OptionError
from dvta.facts.base import LOSSES, METHODS, MethodFacts
from dvta.options import Options, check_values

Activation = Literal["leaky_sigmoid", "sigmoid", "none"]


@dataclasses.dataclass(frozen=True)
class DVTAOptions(Options):
    """Every choice of DVTA; the defaults are the paper's, ``preset: official`` the published code's.

    Attributes:
        sde: augment the label text with the context text by attention (eq. 3).
        visual_projector: ``deep`` (four layers) or ``linear`` (one layer; "without DA").
        text_projector: ``linear`` or ``identity``.
        aa: add the metric network's similarity (eq. 6).
        aa_only: score by the metric network alone (needs ``aa_detach: false`` to train projectors).
        aa_activation, gamma: the activation of eq. 7; gamma is its value at 0 and its slope's rate.
        loss: ``kld``, ``infonce``, ``softmax_ce`` or a loss of your own (name or dotted path).
        tau: initial temperature; ``tau_learnable`` trains it, ``tau_shared`` uses one for DA and AA.
        aa_detach: the metric network does not train the projectors (published code).
        combine: ``mean_prob`` of eq. 9, or ``sum_logits`` (published code).
        target: target rows of the KL loss, see :func:`dvta.losses.targets`.
        direction_reduce: ``sum`` (eq. 5, 10) or ``mean`` (published code) of the two directions.
        sde_scale: ``inv_sqrt_h`` (eq. 3) or ``none``.
        sde_order: ``project_then_attend`` (keys and values are projected texts) or
            ``attend_then_project`` (raw normalised texts; the mixture is projected).
        sde_context_proj: ``shared`` projects the context too, ``none`` leaves it; only with
            ``project_then_attend``.
        sde_train_pairing: in training, column j is conditioned on its ``own`` sample j, or every
            pair on its sample i (``pairwise``, as at test).
    """

    sde: bool = True
    visual_projector: Literal["deep", "linear"] = "deep"
    text_projector: Literal["linear", "identity"] = "linear"
    aa: bool = True
    aa_only: bool = False
    aa_activation: Activation = "leaky_sigmoid"
    gamma: float = 0.01
    loss: str = "kld"
    tau: float = 0.1
    tau_learnable: bool = True
    tau_shared: bool = True
    aa_detach: bool = False
    combine: Literal["mean_prob", "sum_logits"] = "mean_prob"
    target: Literal["hard_normalised", "softmax10"] = "hard_normalised"
    direction_reduce: Literal["sum", "mean"] = "sum"
    sde_scale: Literal["inv_sqrt_h", "none"] = "inv_sqrt_h"
    sde_order: Literal["project_then_attend", "attend_then_project"] = "project_then_attend"
    sde_context_proj: Literal["shared", "none"] = "shared"
    sde_train_pairing: Literal["own", "pairwise"] = "own"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "official": {
            "tau_shared": False,
            "aa_detach": True,
            "combine": "sum_logits",
            "target": "softmax10",
            "direction_reduce": "mean",
            "sde_scale": "none",
            "sde_order": "attend_then_project",
        },
    }

    def __post_init__(self) -> None:
        check_values(type(self), vars(self))
        for name in ("gamma", "tau"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise OptionError(f"{name}: {value!r} is impossible; allowed: a number above 0")
        if self.aa_only and not self.aa:
            raise OptionError("aa_only: true needs aa: true; allowed: aa_only false, or aa true")
        LOSSES.check(self.loss)

    def canonical(self) -> dict[str, Any]:
        """Return every switch, None where it cannot change the trained model."""
        values = dataclasses.asdict(self)
        inert: set[str] = set()
        if not self.aa:
            inert |= {"aa_activation", "gamma", "aa_detach", "combine", "aa_only", "tau_shared"}
        if self.aa and self.aa_only:
            inert |= {"combine", "tau_shared"}
        if self.aa_activation != "leaky_sigmoid":
            inert.add("gamma")
        if not self.sde:
            inert |= {"sde_scale", "sde_order", "sde_context_proj", "sde_train_pairing"}
        if self.sde and (self.sde_order == "attend_then_project" or self.text_projector == "identity"):
            inert.add("sde_context_proj")
        if self.sde and self.text_projector == "identity":
            # without a projector both orders are the same
            inert.add("sde_order")
        if self.loss in ("infonce", "softmax_ce"):
            inert.add("target")
        if self.loss == "softmax_ce":
            inert.add("direction_reduce")
        return {name: None if name in inert else value for name, value in values.items()}


@METHODS.announces("dvta")
class DVTAFacts(MethodFacts):
    """Of DVTA."""

    options_class = DVTAOptions

    @classmethod
    def needs(cls, options: Options) -> frozenset[str]:
        """Context texts, where SDE is on."""
        return frozenset({"contexts"} if getattr(options, "sde", True) else ())
