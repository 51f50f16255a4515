"""What CADA-VAE and SynSE share: shallow VAEs, cyclic schedules, and a classifier on latents."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.vaes import LatentFacts
from dvta.features import ClassText
from dvta.methods.base import Method
from dvta.optimizers import adam

KL_SLOPE = 0.1 / 3000
WARM_CYCLES = 2  # cycles before the KL of the texts counts, where it waits
SAMPLES_PER_CLASS = 500
CLASSIFIER_STEPS, CLASSIFIER_LR = 300, 1e-3
#: steps of a cycle -> (step after which the modalities are crossed, step at which KL begins)
PUBLISHED = {1700: (1400, 1000), 1900: (1500, 1000)}


class VAE(nn.Module):
    """Linear mean and log-variance, linear decoder; Xavier with gain 0.5, no bias at the start."""

    def __init__(self, width: int, latent: int, *, relu: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)
        self.decoder = nn.Linear(latent, width)
        self._relu = relu
        for layer in (self.mean, self.log_variance, self.decoder):
            nn.init.xavier_uniform_(layer.weight, gain=0.5)
            nn.init.zeros_(layer.bias)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, L)."""
        return self.mean(x), self.log_variance(x)

    def encode_mean(self, x: Tensor) -> Tensor:
        """Return the mean (N, L) alone."""
        return self.mean(x)  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Return the reconstruction (N, D)."""
        x = self.decoder(z)
        return torch.relu(x) if self._relu else x  # type: ignore[no-any-return]


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL to the standard normal, summed over dimensions, averaged over samples."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()


class LatentMethod(LatentFacts, Method):
    """A method that classifies visual latents with a classifier fitted on text latents.

    Subclasses give :meth:`text_latent` and :meth:`visual_mean`. An epoch is one cycle of the
    annealing schedule; the classifier is fitted anew at every evaluation, from texts alone.
    """

    options: Any
    #: text VAEs, each of an equal part of the latent
    text_vaes: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self._step = self._cycle = 0
        self._classifier: tuple[ClassText, Tensor, Tensor] | None = None  # texts, weight, bias
        self.register_load_state_dict_post_hook(_forget)

    def batches_per_epoch(self, samples: int, batch_size: int) -> int:
        """Return the steps of a cycle, whatever the number of samples."""
        return int(self.options.cycle_steps)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Restart the schedule."""
        self._step, self._cycle = 0, epoch - 1

    def schedule(self) -> tuple[float, float, bool]:
        """Return this step's KL weights and whether the modalities are crossed.

        With e the step (from 0) and E1 the crossing: ``max(0, 0.1 (e - 1000) / 3000)``, the same from E1
        on, and ``e > E1``.
        """
        steps = int(self.options.cycle_steps)
        crossing, begin = PUBLISHED.get(steps, PUBLISHED[1900])
        e = self._step if steps in PUBLISHED else self._step * 1900 / steps
        return max(0.0, KL_SLOPE * (e - begin)), max(0.0, KL_SLOPE * (e - crossing)), e > crossing

    def sample(self, mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return ``mean + exp(log_variance / 2) eps``."""
        shape = mean.shape if self.options.noise == "dimension" else (len(mean), 1)
        eps = torch.randn(shape, generator=generator, device=None if generator else mean.device)
        return mean + (0.5 * log_variance).exp() * eps.to(mean)

    def text_latent(self, text: ClassText) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (C, L) of class texts, in the order of the visual latent."""
        raise NotImplementedError

    def visual_mean(self, visual: Tensor) -> Tensor:
        """Return the latent mean (N, L) of samples."""
        raise NotImplementedError

    def adapt(self, text: ClassText, generator: torch.Generator) -> None:
        """Fit the final classifier on 500 text latents of every class, 300 full-batch steps."""
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            with torch.no_grad():
                mean, log_variance = (x.clone() for x in self.text_latent(text))
                many = [x.repeat_interleave(SAMPLES_PER_CLASS, 0) for x in (mean, log_variance)]
                # each text VAE draws its own noise
                halves = [x.chunk(self.text_vaes, dim=1) for x in many]
                latents = torch.cat([self.sample(m, v, generator) for m, v in zip(*halves, strict=True)], 1)
            target = torch.arange(len(text.ids), device=mean.device).repeat_interleave(SAMPLES_PER_CLASS)
            layer = nn.Linear(mean.shape[1], len(text.ids)).to(mean.device)
            nn.init.xavier_uniform_(layer.weight, gain=0.5)
            nn.init.zeros_(layer.bias)
            optimizer = adam(layer.parameters(), lr=CLASSIFIER_LR)
            for _ in range(CLASSIFIER_STEPS):
                optimizer.zero_grad()
                F.cross_entropy(self._last(layer(latents)), target).backward()
                optimizer.step()
            self._classifier = (text, layer.weight.detach(), layer.bias.detach())

    def class_scores(self, visual: Tensor, text: ClassText) -> Tensor:
        """Return (N, U) outputs of the final classifier on latent means."""
        if self._classifier is None or not self._classifier[0].equals(text):
            self.adapt(text, torch.Generator().manual_seed(0))
        assert self._classifier is not None
        _, weight, bias = self._classifier
        return self._last(F.linear(self.visual_mean(visual), weight, bias))

    def _last(self, x: Tensor) -> Tensor:
        return torch.relu(x) if self.options.classifier == "relu" else x


def _forget(method: LatentMethod, _: object) -> None:
    """Drop the classifier, which was fitted to other weights."""
    method._classifier = None
