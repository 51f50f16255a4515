"""CADA-VAE: aligned VAEs of features and texts (Schönfeld et al., 2019), as in SynSE's repository."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dvta.errors import OptionError
from dvta.features import ClassText
from dvta.methods.base import METHODS
from dvta.methods.vae import VAE, LatentMethod, VAEOptions, kl
from dvta.options import Options


@dataclasses.dataclass(frozen=True)
class CADAVAEOptions(VAEOptions):
    """Choices of CADA-VAE.

    Attributes:
        wasserstein: weight of the distribution alignment once the modalities are crossed. The
            publication has it (8.13 beside sums of absolute errors; 1 is ours beside mean squared
            ones), SynSE's code multiplies it by 0.
    """

    wasserstein: float = 1.0

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {},
        "official": {**VAEOptions.PRESETS["official"], "wasserstein": 0.0},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.wasserstein) and self.wasserstein >= 0):
            raise OptionError(f"wasserstein: {self.wasserstein!r} is impossible; allowed: 0 or more")


@METHODS.register("cada_vae")
class CADAVAE(LatentMethod):
    """One VAE for features, one for label texts."""

    options_class = CADAVAEOptions
    options: CADAVAEOptions

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str]:
        """Models that differ in the weight of the alignment, where they have it."""
        return frozenset({"wasserstein"} if getattr(options, "wasserstein", 0.0) else ())

    def __init__(self, *, visual_dim: int, text_dim: int, options: CADAVAEOptions | None = None) -> None:
        super().__init__()
        self.options = options or CADAVAEOptions()
        self.visual = VAE(visual_dim, self.options.latent, relu=True)
        self.text = VAE(text_dim, self.options.latent, relu=self.options.text_decoder == "relu")

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return reconstruction, KL, crossed reconstruction and distribution alignment."""
        kl_weight, _, crossed = self.schedule()
        self._step += 1
        t = F.normalize(text.labels[labels], dim=-1)
        (mean_v, var_v), (mean_t, var_t) = self.visual.encode(visual), self.text.encode(t)
        z_v, z_t = self.sample(mean_v, var_v), self.sample(mean_t, var_t)
        loss = F.mse_loss(self.visual.decode(z_v), visual) + F.mse_loss(self.text.decode(z_t), t)
        loss = loss + kl_weight * kl(mean_v, var_v)
        if crossed:
            loss = loss + kl_weight * kl(mean_t, var_t)
            loss = loss + F.mse_loss(self.visual.decode(z_t), visual) + F.mse_loss(self.text.decode(z_v), t)
            if self.options.wasserstein:
                loss = loss + self.options.wasserstein * wasserstein(mean_v, var_v, mean_t, var_t)
        return loss

    def text_latent(self, text: ClassText) -> tuple[Tensor, Tensor]:
        """Encode label texts."""
        return self.text.encode(F.normalize(text.labels, dim=-1))

    def visual_mean(self, visual: Tensor) -> Tensor:
        """Return the mean of the visual encoder."""
        return self.visual.mean(visual)  # type: ignore[no-any-return]


def wasserstein(mean_a: Tensor, log_a: Tensor, mean_b: Tensor, log_b: Tensor) -> Tensor:
    """Return the mean 2-Wasserstein distance of diagonal Gaussians, (B, L) each."""
    means = (mean_a - mean_b).square().sum(1)
    spreads = ((0.5 * log_a).exp() - (0.5 * log_b).exp()).square().sum(1)
    return torch.sqrt((means + spreads).clamp_min(1e-12)).mean()
