"""CADA-VAE: aligned VAEs of features and texts (Schönfeld et al., 2019), as in SynSE's repository."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dvta.facts.vaes import CADAVAEFacts, CADAVAEOptions
from dvta.features import ClassText
from dvta.methods.base import METHODS
from dvta.methods.vae import VAE, LatentMethod, kl
from dvta.options import Options


class Latent(NamedTuple):
    """A batch in the latent space, (B, L) each: its Gaussians, and a draw from them."""

    mean: Tensor
    log_variance: Tensor
    z: Tensor


@METHODS.register("cada_vae")
class CADAVAE(CADAVAEFacts, LatentMethod):
    """One VAE for features, one for label texts."""

    vae_class: ClassVar[type[VAE]] = VAE
    options: CADAVAEOptions

    @classmethod
    def stackable(cls, options: Options) -> frozenset[str] | None:
        """As its facts say; no variant of the method."""
        return super().stackable(options) if cls is CADAVAE else None

    def __init__(self, *, visual_dim: int, text_dim: int, options: CADAVAEOptions | None = None) -> None:
        super().__init__()
        self.options = options or CADAVAEOptions()
        self.visual = self.vae_class(visual_dim, self.options.latent, relu=True)
        self.text = self.vae_class(text_dim, self.options.latent, relu=self.options.text_decoder == "relu")

    def describe(self, text: ClassText) -> Tensor:
        """Return the text (C, Dt) of every class, not yet of unit length."""
        return text.labels

    def kl_weights(self) -> tuple[float, float]:
        """Return this step's KL weights of features and of texts."""
        weight, _, crossed = self.schedule()
        return weight, weight if crossed else 0.0

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return reconstruction, KL, crossed reconstruction and distribution alignment."""
        (visual_weight, text_weight), crossed = self.kl_weights(), self.schedule()[2]
        self._step += 1
        t = F.normalize(self.describe(text)[labels], dim=-1)
        v, u = self._encoded(self.visual, visual), self._encoded(self.text, t)
        loss = F.mse_loss(self.visual.decode(v.z), visual) + F.mse_loss(self.text.decode(u.z), t)
        loss = loss + visual_weight * kl(v.mean, v.log_variance)
        if crossed:
            loss = loss + text_weight * kl(u.mean, u.log_variance)
            for term in self.cross_terms(visual, t, v, u):
                loss = loss + term
        return loss

    def cross_terms(self, visual: Tensor, t: Tensor, v: Latent, u: Latent) -> list[Tensor]:
        """Return what ties features to texts once the modalities are crossed.

        Args:
            visual, t: (B, Dv) features and (B, Dt) texts. v, u: their latents.
        """
        terms = [F.mse_loss(self.visual.decode(u.z), visual), F.mse_loss(self.text.decode(v.z), t)]
        if self.options.wasserstein:
            distance = wasserstein(v.mean, v.log_variance, u.mean, u.log_variance)
            terms.append(self.options.wasserstein * distance)
        return terms

    def _encoded(self, vae: VAE, x: Tensor) -> Latent:
        mean, log_variance = vae.encode(x)
        return Latent(mean, log_variance, self.sample(mean, log_variance))

    def text_latent(self, text: ClassText) -> tuple[Tensor, Tensor]:
        """Encode class texts."""
        return self.text.encode(F.normalize(self.describe(text), dim=-1))

    def visual_mean(self, visual: Tensor) -> Tensor:
        """Return the mean of the visual encoder."""
        return self.visual.encode_mean(visual)


def wasserstein(mean_a: Tensor, log_a: Tensor, mean_b: Tensor, log_b: Tensor) -> Tensor:
    """Return the mean 2-Wasserstein distance of diagonal Gaussians, (B, L) each."""
    means = (mean_a - mean_b).square().sum(1)
    spreads = ((0.5 * log_a).exp() - (0.5 * log_b).exp()).square().sum(1)
    return torch.sqrt((means + spreads).clamp_min(1e-12)).mean()
