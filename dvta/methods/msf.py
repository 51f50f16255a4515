"""MSF: CADA-VAE on several texts of a class (Li et al., ICIG 2023), as in EHZ9NIWI7/MSF-GZSSAR.

The texts of a class (its label, a description of the action, one of the motion) stand side by side
in one vector of unit length: (C, M Dt) for M texts of width Dt. Everything else is CADA-VAE of
SynSE's repository, but for the KL of the texts, which waits for the third cycle. With three CLIP
texts of width 512 it has 539,792 parameters (latent 100), 1,077,792 with 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dvta.errors import DataError
from dvta.facts.vaes import MSFFacts, MSFOptions, Texts, text_parts
from dvta.features import ClassText
from dvta.methods import official
from dvta.methods.base import METHODS
from dvta.methods.cada_vae import CADAVAE
from dvta.methods.vae import WARM_CYCLES


@METHODS.register("msf")
class MSF(MSFFacts, CADAVAE):
    """One VAE for features Dv -> L, one for concatenated texts M Dt -> L."""

    options: Any

    def __init__(self, *, visual_dim: int, text_dim: int, options: MSFOptions | None = None) -> None:
        chosen = options or self.options_class()
        super().__init__(visual_dim=visual_dim, text_dim=text_dim * len(text_parts(chosen)), options=chosen)

    def describe(self, text: ClassText) -> Tensor:
        """Return the texts of every class side by side, (C, M Dt)."""
        found = {part: getattr(text, part) for part in text_parts(self.options)}
        for part, features in found.items():
            if features is None:
                raise DataError(f"{type(self).__name__} needs {part} of the classes: <text>_{part}.npy")
        return torch.cat(tuple(found.values()), dim=-1)

    def kl_weights(self) -> tuple[float, float]:
        """Return the KL weights; with e the step, E1 the crossing and c the cycle (from 0).

        Features ``max(0, 0.1 (e - 1000) / 3000)``, texts ``max(0, 0.1 (e - E1) / 3000)`` where c > 1.
        """
        weight, text_weight, _ = self.schedule()
        return weight, text_weight if self._cycle >= WARM_CYCLES else 0.0

    @classmethod
    def from_official(
        cls, states: Mapping[str, Mapping[str, Tensor]], *, texts: Texts = "label+context+motion"
    ) -> MSF:
        """Build the published model from its four state dicts.

        Args:
            states: by the names of their files, ``se`` (keys ``mu_transformation.0`` and
                ``logvar_transformation.0``), ``sd`` (``model.0``), ``te`` and ``td`` likewise.
            texts: which texts of a class it was trained on.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        names = vae_names({"mean": "mu_transformation.0", "log_variance": "logvar_transformation.0"})
        model = cls.sized(states, "se.mu_transformation.0.weight", "te.mu_transformation.0.weight", texts)
        official.load(model, official.flat(states), names, "an MSF checkpoint of its authors")
        return model

    @classmethod
    def sized(
        cls, states: Mapping[str, Mapping[str, Tensor]], visual_key: str, text_key: str, texts: Texts
    ) -> Any:
        """Return an untrained model of the widths of a checkpoint, as its authors' code has it."""
        tensors, what = official.flat(states), f"a checkpoint of {cls.__name__}'s authors"
        latent = official.width(tensors, visual_key, 0, what)
        options = cls.options_class.resolve({"preset": "official", "latent": latent, "texts": texts})
        widths = [official.width(tensors, key, 1, what) for key in (visual_key, text_key)]
        return cls(visual_dim=widths[0], text_dim=widths[1] // len(text_parts(options)), options=options)  # type: ignore[arg-type]


def vae_names(encoder: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of four files of VAEs -> ours; ``encoder`` has our layer -> theirs."""
    names: dict[str, str] = {}
    for ours, file in (("visual", "s"), ("text", "t")):
        for part in ("weight", "bias"):
            names |= {
                f"{file}e.{theirs}.{part}": f"{ours}.{layer}.{part}" for layer, theirs in encoder.items()
            }
            names[f"{file}d.model.0.{part}"] = f"{ours}.decoder.{part}"
    return names
