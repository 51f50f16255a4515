"""SynSE: a visual VAE whose latent halves meet a noun VAE and a verb VAE (Gupta et al., 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dvta.errors import DataError
from dvta.facts.vaes import SynSEFacts, SynSEOptions
from dvta.features import ClassText
from dvta.methods.base import METHODS
from dvta.methods.vae import VAE, WARM_CYCLES, LatentMethod, kl


@METHODS.register("synse")
class SynSE(SynSEFacts, LatentMethod):
    """First half of the visual latent: noun; second half: verb."""

    text_vaes = 2
    options: SynSEOptions

    def __init__(self, *, visual_dim: int, text_dim: int, options: SynSEOptions | None = None) -> None:
        super().__init__()
        self.options = options or SynSEOptions()
        latent, relu = self.options.latent, self.options.text_decoder == "relu"
        self.visual = VAE(visual_dim, latent, relu=True)
        self.verb = VAE(text_dim, latent // 2, relu=relu)
        self.noun = VAE(text_dim, latent // 2, relu=relu)

    def training_loss(self, visual: Tensor, labels: Tensor, text: ClassText) -> Tensor:
        """Return reconstruction, KL, and reconstruction across the modalities."""
        kl_weight, text_kl_weight, crossed = self.schedule()
        self._step += 1
        verbs, nouns = _words(text)
        v, n = verbs[labels], nouns[labels]
        encoded = {
            "visual": self.visual.encode(visual),
            "verb": self.verb.encode(v),
            "noun": self.noun.encode(n),
        }
        z = {name: self.sample(*pair) for name, pair in encoded.items()}
        loss = F.mse_loss(self.visual.decode(z["visual"]), visual)
        loss = loss + F.mse_loss(self.verb.decode(z["verb"]), v) + F.mse_loss(self.noun.decode(z["noun"]), n)
        loss = loss + kl_weight * kl(*encoded["visual"])
        if crossed:
            half = self.options.latent // 2
            loss = loss + F.mse_loss(self.noun.decode(z["visual"][:, :half]), n)
            loss = loss + F.mse_loss(self.verb.decode(z["visual"][:, half:]), v)
            both = torch.cat((z["noun"], z["verb"]), dim=1)
            loss = loss + F.mse_loss(self.visual.decode(both), visual)
            if self._cycle >= WARM_CYCLES:
                loss = loss + text_kl_weight * (kl(*encoded["verb"]) + kl(*encoded["noun"]))
        return loss

    def text_latent(self, text: ClassText) -> tuple[Tensor, Tensor]:
        """Encode nouns and verbs, side by side."""
        verbs, nouns = _words(text)
        noun, verb = self.noun.encode(nouns), self.verb.encode(verbs)
        return torch.cat((noun[0], verb[0]), dim=1), torch.cat((noun[1], verb[1]), dim=1)

    def visual_mean(self, visual: Tensor) -> Tensor:
        """Return the mean of the visual encoder."""
        return self.visual.encode_mean(visual)


def _words(text: ClassText) -> tuple[Tensor, Tensor]:
    if text.verbs is None or text.nouns is None:
        raise DataError("synse needs verb and noun texts: <text>_verbs.npy and <text>_nouns.npy")
    return F.normalize(text.verbs, dim=-1), F.normalize(text.nouns, dim=-1)
