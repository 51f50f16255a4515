"""Shift-GCN (Cheng et al., 2020) in plain PyTorch: shifts instead of convolutions (reference section 3)."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders.base import ENCODERS, DataNorm, Residual, SkeletonEncoder, average_persons

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
        shift_grad: ``sign`` replaces the offsets' gradient as published, ``true`` leaves it.
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
        n, _, t, v = x.shape
        offset = _SignStep.apply(self.offset) if self._sign else self.offset
        frames = torch.arange(-(-t // self._stride), device=x.device) * self._stride
        position = frames[None, :] + offset[:, None] + (0.5 if self._stride == 2 else 0.0)  # (C, T')
        before = position.detach().floor()
        part = position - before
        out = x.new_zeros(())
        for index, weight in ((before.long(), 1 - part), (before.long() + 1, part)):
            inside = (index >= 0) & (index < t)
            source = index.clamp(0, t - 1)[None, :, :, None].expand(n, -1, -1, v)
            out = out + x.gather(2, source) * (weight * inside)[None, :, :, None]
        # joint offsets are no-ops; adding their zero keeps them in the graph
        return out + 0.0 * self.joint_offset[None, :, None, None]


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
class ShiftGCN(SkeletonEncoder):
    """Ten units; 677,687 trained parameters.

    Where the published code rounds a strided branch down, this one rounds up like the skip
    connection, so that any number of frames fits; multiples of four give the published lengths.
    """

    training_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 140, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "schedule": "steps",
        "steps": "60,80,100", "weight_decay": 1e-4,
    }  # fmt: skip

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
        y = self.norm(x)
        for unit in self.units:
            y = unit(y)
        return average_persons(y, 2)
