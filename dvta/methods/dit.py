"""What Flora and TDSM share: pieces of a diffusion transformer, and training by a number of steps.

Peebles and Xie, 2023: layer norms without weights whose shift and scale (and a gate) are read off a
condition, the time; everything that is read off begins at zero.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.facts.diffusion import HEAD, SteppedFacts
from dvta.methods.base import Method

FREQUENCIES = 256  # width of a time before its network
MLP_RATIO = 4


class SteppedMethod(SteppedFacts, Method):
    """A method whose training is a number of steps: ``epochs`` parts of it end in an evaluation.

    ``options.steps()`` is that number. AdamW with weight decay 0.01, as both were published.
    """

    options: Any

    def __init__(self) -> None:
        super().__init__()
        self._step = self._until = 0

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note the first step of the epoch (from 0), and the first of the next."""
        steps = max(self.options.steps(), epochs)
        self._step, self._until = steps * (epoch - 1) // epochs, steps * epoch // epochs

    def batches_per_epoch(self, samples: int, batch_size: int) -> int:
        """Return this epoch's part of the steps, whatever the number of samples."""
        return self._until - self._step

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return all parameters; their decay is apart from the gradient."""
        (group,) = super().parameter_groups(lr)
        return [{**group, "decoupled_weight_decay": True}]


class Feed(nn.Module):
    """D -> 4 D -> D with a tanh-approximated GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., D)."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))  # type: ignore[no-any-return]


class Modulation(nn.Module):
    """Reads ``count`` vectors (N, D) off a condition (N, D): SiLU, then one linear layer."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, count * width)
        self._count = count

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Return the vectors, each with an axis for tokens: (N, 1, D)."""
        return self.linear(F.silu(condition))[:, None].chunk(self._count, dim=-1)  # type: ignore[no-any-return]


class TimeEmbedding(nn.Module):
    """A time (N,) as (N, D): sines and cosines of 256 / 2 frequencies, then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FREQUENCIES, width), nn.Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        """Return (N, D)."""
        half = FREQUENCIES // 2
        rates = torch.exp(-math.log(10_000) * torch.arange(half, device=time.device) / half)
        angle = time[:, None].float() * rates
        waves = torch.cat((angle.cos(), angle.sin()), dim=1)
        return self.second(F.silu(self.first(waves)))  # type: ignore[no-any-return]


class Head(nn.Module):
    """The last layer: a modulated norm, then D -> out."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.modulation, self.linear = Modulation(width, 2), nn.Linear(width, out)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (N, M, out)."""
        return self.linear(modulated(x, *self.modulation(condition)))  # type: ignore[no-any-return]


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return ``norm(x) (1 + scale) + shift``, the norm without weights."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def initialise(network: nn.Module) -> None:
    """Xavier weights and zero biases, small weights for the time, zeros for what a time reads off."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    for module in network.modules():
        zeros: list[nn.Linear] = []
        if isinstance(module, TimeEmbedding):
            nn.init.normal_(module.first.weight, std=0.02)
            nn.init.normal_(module.second.weight, std=0.02)
        if isinstance(module, Modulation):
            zeros.append(module.linear)
        if isinstance(module, Head):
            zeros.append(module.linear)
        for layer in zeros:
            nn.init.zeros_(layer.weight)


def split_heads(x: Tensor) -> Tensor:
    """Return (N, M, D) as (N, D / 64, M, 64)."""
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)
