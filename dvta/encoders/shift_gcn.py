"""Shift-GCN (Cheng et al., 2020) in plain PyTorch: shifts instead of convolutions."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders.base import ENCODERS, DataNorm, Residual, SkeletonEncoder, average_persons
from dvta.facts.encoders import ShiftGCNFacts

CHANNELS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
STRIDED = (4, 7)
JOINTS = 25
STEP, STILL = 0.01, 1e-4  # what the published backward pass puts in place of the gradient


def shift_indices(channels: int, direction: int) -> Tensor:
    """Return indices (25 C,) on the flattened joint-channel axis: joint i, channel j reads joint i ± j."""
    joint = torch.arange(JOINTS)[:, None]
    channel = torch.arange(channels)[None, :]
    return (((joint + direction * channel) % JOINTS) * channels + channel).flatten()


class SpatialShift(nn.Module):
    """The non-local spatial shift convolution, (N, Cin, T, 25) -> (N, Cout, T, 25)."""

    inward: Tensor
    outward: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.zeros(1, JOINTS, inputs))
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.BatchNorm1d(JOINTS * outputs)
        self.residual = Residual(inputs, outputs, 1)
        self.register_buffer("inward", shift_indices(inputs, 1), persistent=False)
        self.register_buffer("outward", shift_indices(outputs, -1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shift in, mask, mix channels, shift out, normalise, add the input."""
        n, c, t, v = x.shape
        y = x.permute(0, 2, 3, 1).reshape(n * t, v * c).index_select(1, self.inward)
        y = y.reshape(n * t, v, c) * (torch.tanh(self.mask) + 1)
        y = (y @ self.weight + self.bias).flatten(1)
        y = self.norm(y.index_select(1, self.outward)).reshape(n, t, v, -1).permute(0, 3, 1, 2)
        return torch.relu(y + self.residual(x))


class _SignStep(torch.autograd.Function):
    """Identity whose gradient is a fixed step in the gradient's direction, as in the published code."""

    @staticmethod
    def forward(ctx: Any, offset: Tensor) -> Tensor:
        return offset.view_as(offset)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        return torch.where(gradient == 0, torch.full_like(gradient, STILL), STEP * gradient.sign())


class TemporalShift(nn.Module):
    """Moves every channel by its own real number of frames; ``ceil(T / stride)`` frames come out.

    Args:
        shift_grad: see :class:`ShiftGCNOptions`.
    """

    def __init__(self, channels: int, stride: int, shift_grad: str) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.empty(channels).uniform_(-1, 1))
        # the published layer has offsets between joints too, which never move
        self.joint_offset = nn.Parameter(torch.full((channels,), 1e-8))
        self.joint_offset.register_hook(torch.zeros_like)
        self._stride, self._sign = stride, shift_grad == "sign"

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, ceil(T / stride), V) of (N, C, T, V), linear between frames, zero outside."""
        weight = self._taps(x.shape[2]).to(x.dtype)
        reach = weight.shape[2] // 2
        return F.conv2d(x, weight, stride=(self._stride, 1), padding=(reach, 0), groups=x.shape[1])

    def fixed(self) -> nn.Conv2d:
        """Return the same as a convolution with the offsets as they are now."""
        with torch.no_grad():
            weight = self._taps(None)
            size, channels = weight.shape[2], len(weight)
            conv = nn.Conv2d(
                channels, channels, (size, 1), (self._stride, 1), (size // 2, 0), groups=channels, bias=False
            )
            conv.weight.copy_(weight)
        return conv

    def _taps(self, frames: int | None) -> Tensor:
        """Return the weights (C, 1, taps, 1) of the convolution that shifts."""
        offset = _SignStep.apply(self.offset) if self._sign else self.offset
        position = offset + (0.5 if self._stride == 2 else 0.0)
        reach = math.ceil(position.detach().abs().max().item())
        # further than all frames is zero however far it is
        reach = reach if frames is None else min(reach, frames)
        tap = torch.arange(-reach, reach + 1, device=position.device)
        # a shift is a convolution with two taps in each channel: the frames before and after
        weight = (1 - (tap - position[:, None]).abs()).clamp(min=0)  # (C, taps)
        # joint offsets are no-ops; adding their zero keeps them in the graph
        weight = weight + 0.0 * self.joint_offset[:, None]
        return weight[:, None, :, None]


class Unit(nn.Module):
    """A spatial shift convolution, an adaptive temporal one, and a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int, shift_grad: str, *, first: bool) -> None:
        super().__init__()
        self.spatial = SpatialShift(inputs, outputs)
        self.norm_in = nn.BatchNorm2d(outputs)
        self.shift_in = TemporalShift(outputs, 1, shift_grad)
        self.mix = nn.Conv2d(outputs, outputs, 1)
        self.shift_out = TemporalShift(outputs, stride, shift_grad)
        self.norm_out = nn.BatchNorm2d(outputs)
        self.residual = Residual(inputs, outputs, stride, present=not first)
        nn.init.kaiming_normal_(self.mix.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, Cout, ceil(T / stride), 25)."""
        y = self.shift_in(self.norm_in(self.spatial(x)))
        y = self.norm_out(self.shift_out(F.relu(self.mix(y))))
        return torch.relu(y + self.residual(x))


@ENCODERS.register("shift_gcn")
class ShiftGCN(ShiftGCNFacts, SkeletonEncoder):
    """Ten units; 677,687 trained parameters.

    Where the published code rounds a strided branch down, this one rounds up like the skip
    connection, so that any number of frames fits; multiples of four give the published lengths.
    """

    def __init__(self, shift_grad: Literal["sign", "true"] = "sign") -> None:
        super().__init__()
        widths = (3, *CHANNELS)
        self.norm = DataNorm(persons=2)
        self.units = nn.ModuleList(
            Unit(a, b, 2 if i in STRIDED else 1, shift_grad, first=i == 0)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )

    def feature_map(self, x: Tensor) -> Tensor:
        """Return (N, ~T / 4, 25, 256) of (N, 3, T, 25, M)."""
        # channels beside each other in memory: what the spatial shift needs, and faster everywhere else
        y = self.norm(x).contiguous(memory_format=torch.channels_last)
        for unit in self.units:
            y = unit(y)
        return average_persons(y, 2)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the published groups: ten times the decay on spatial weights, none on masks."""
        factors: dict[float, list[nn.Parameter]] = {1.0: [], 10.0: [], 0.0: []}
        for name, parameter in self.named_parameters():
            masked, weighed = name.endswith(".spatial.mask"), name.endswith(".spatial.weight")
            factors[0.0 if masked else 10.0 if weighed else 1.0].append(parameter)
        return [{"params": group, "weight_decay": f * weight_decay} for f, group in factors.items()]

    def make_exportable(self) -> None:
        """Take the shifts as the convolutions that they are: how far they reach is no part of a graph."""
        for unit in self.units:
            unit.shift_in, unit.shift_out = unit.shift_in.fixed(), unit.shift_out.fixed()  # type: ignore[operator, union-attr]
