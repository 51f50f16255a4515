"""FS-VAE: MSF with learned frequency gains and a calibrated cross loss (Wu et al., ICCV 2025).

As in wenhanwu95/FS-VAE, with three texts a class as MSF has them. In front of both encoders the
vector x (D,) is scaled by frequency, over its channels: with X the orthonormal DCT-II of x and 30
bands between the edges floor(linspace(0, D - 1, 31)), band b times

    1 + w_b k (1 - b / 30)   where the band ends at coefficient 30 or before,
    1 - w_b k (2 - b / 30)   else,

then back. w (30,) begins at 1 and k at 0.3; both are learned, by each encoder its own. The last
coefficient is in no band. At D = 256 three bands are low ones, at D = 1536 none is.

Instead of reconstruction across the modalities, with pi a random permutation of the batch,
t' = dec_t(z_v), v' = dec_v(z_t), and sums over channels:

    lambda alpha [ mean sigma((||t_i - t'_i||^2 - ||t_i - t'_pi(i)||^2) / lambda)
                 + mean sigma(||v_i - v'_i||^2 / lambda) ].

The publication has a negative on both sides, its code only on the text side, as here. 539,862
parameters at three CLIP texts of width 512 and latent 100, 1,077,862 at 200.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dvta.facts.vaes import FSVAEFacts, FSVAEOptions, Texts
from dvta.methods import official
from dvta.methods.base import METHODS
from dvta.methods.cada_vae import Latent
from dvta.methods.msf import MSF, vae_names
from dvta.methods.vae import VAE

BANDS = 30
SPLIT = 30  # a band that ends there or before is a low one
STRENGTH = 0.3


class FrequencyGain(nn.Module):
    """Scales (N, D) by frequency over channels, with learned gains.

    ``fixed`` has what the authors' module holds as parameters although nothing trains them: whether
    it is on, the number of bands, the split and a factor. They count, and are in checkpoints.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(BANDS))
        self.strength = nn.Parameter(torch.tensor(STRENGTH))
        values = {"on": 1.0, "bands": BANDS, "split": SPLIT, "factor": 1.0}
        self.fixed = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(float(v))) for name, v in values.items()}
        )
        edges = torch.linspace(0, width - 1, BANDS + 1).long()
        band = torch.searchsorted(edges, torch.arange(width), right=True) - 1
        share = torch.arange(BANDS) / BANDS
        slope = torch.where(edges[1:] <= SPLIT, 1 - share, share - 2)
        self.register_buffer("slope", slope, persistent=False)
        self.register_buffer("band", band.clamp_max(BANDS - 1), persistent=False)
        self.register_buffer("inside", (band < BANDS).float(), persistent=False)
        self.slope: Tensor
        self.band: Tensor
        self.inside: Tensor

    def gains(self) -> Tensor:
        """Return the factor (D,) of every coefficient."""
        return 1 + self.inside * (self.weights * self.strength * self.slope)[self.band]

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, D)."""
        return idct(dct(x) * self.gains())


class FrequencyVAE(VAE):
    """A VAE that scales what it encodes by frequency."""

    def __init__(self, width: int, latent: int, *, relu: bool) -> None:
        super().__init__(width, latent, relu=relu)
        self.gain = FrequencyGain(width)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, L)."""
        return super().encode(self.gain(x))

    def encode_mean(self, x: Tensor) -> Tensor:
        """Return the mean (N, L) alone."""
        return super().encode_mean(self.gain(x))


@METHODS.register("fs_vae")
class FSVAE(FSVAEFacts, MSF):
    """One VAE for features, one for concatenated texts, each behind its frequency gains."""

    options: FSVAEOptions
    vae_class = FrequencyVAE

    def cross_terms(self, visual: Tensor, t: Tensor, v: Latent, u: Latent) -> list[Tensor]:
        """Return the calibrated loss of texts and of features."""
        lam, alpha = self.options.scale, self.options.alpha
        decoded = self.text.decode(v.z)
        other = decoded[torch.randperm(len(t), device=t.device)]
        contrast = _distance(t, decoded) - _distance(t, other)
        across = _distance(visual, self.visual.decode(u.z))
        return [lam * alpha * ((contrast / lam).sigmoid().mean() + (across / lam).sigmoid().mean())]

    def make_exportable(self) -> None:
        """Take the gains, which are linear in what they scale, as a matrix: graphs have no FFT."""
        for vae in (self.visual, self.text):
            gain: Any = vae.gain
            width = len(gain.band)
            whole = nn.Linear(width, width, bias=False)
            with torch.no_grad():
                whole.weight.copy_(gain(torch.eye(width)).T)
            vae.gain = whole

    @classmethod
    def from_official(
        cls, states: Mapping[str, Mapping[str, Tensor]], *, texts: Texts = "label+context+motion"
    ) -> FSVAE:
        """Build the published model from its four state dicts; see :meth:`MSF.from_official`.

        Their encoders have keys ``mu_transformation``, ``logvar_transformation``, ``freq_weights``,
        ``k`` and ``dct_enhancement``, ``num_freq_bands``, ``split_freq``, ``m``.

        Raises:
            DataError: a key is missing or unknown, or a shape does not fit.
        """
        names = vae_names({"mean": "mu_transformation", "log_variance": "logvar_transformation"})
        gain = {"freq_weights": "weights", "k": "strength"}
        fixed = {"dct_enhancement": "on", "num_freq_bands": "bands", "split_freq": "split", "m": "factor"}
        gain |= {theirs: f"fixed.{ours}" for theirs, ours in fixed.items()}
        for ours, file in (("visual", "se"), ("text", "te")):
            names |= {f"{file}.{theirs}": f"{ours}.gain.{name}" for theirs, name in gain.items()}
        model: FSVAE = cls.sized(states, "se.mu_transformation.weight", "te.mu_transformation.weight", texts)
        official.load(model, official.flat(states), names, "an FS-VAE checkpoint of its authors")
        return model


def dct(x: Tensor) -> Tensor:
    """Return the orthonormal DCT-II over the last axis, through the FFT of x and its mirror image."""
    size = x.shape[-1]
    spectrum = torch.fft.rfft(torch.cat((x, x.flip(-1)), dim=-1))[..., :size]
    return (spectrum * _turn(size, x.device, -1)).real * _norm(size, x.device)


def idct(x: Tensor) -> Tensor:
    """Return the inverse of :func:`dct`."""
    size = x.shape[-1]
    spectrum = (x / _norm(size, x.device)) * _turn(size, x.device, 1)
    return torch.fft.irfft(torch.cat((spectrum, torch.zeros_like(spectrum[..., :1])), dim=-1), n=2 * size)[
        ..., :size
    ]


def _turn(size: int, device: torch.device, sign: int) -> Tensor:
    """Return e^(sign i pi k / 2D) of every coefficient k: half a sample's shift."""
    angle = sign * math.pi * torch.arange(size, device=device) / (2 * size)
    return torch.polar(torch.ones_like(angle), angle)


def _norm(size: int, device: torch.device) -> Tensor:
    scale = torch.full((size,), 1 / math.sqrt(2 * size), device=device)
    scale[0] = 1 / math.sqrt(4 * size)
    return scale


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return squared Euclidean distances (B,) of matching rows."""
    return (a - b).square().sum(1)
