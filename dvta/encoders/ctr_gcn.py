"""CTR-GCN (Chen et al., 2021): a topology for every channel."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvta.encoders.base import ENCODERS, DataNorm, Residual, SkeletonEncoder, average_persons
from dvta.facts.encoders import CTRGCNFacts
from dvta.skeleton.graph import directed_partition

CHANNELS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
STRIDED = (4, 7)
SETS = 3  # of neighbours: the joint itself, inward, outward


class GraphConvolution(nn.Module):
    """Three neighbour sets, each with a topology refined for every channel, and a skip connection.

    The convolutions of the three sets are kept as one; the parameters are those of three.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        relations = 8 if inputs in (3, 9) else inputs // 8
        self.query = nn.Conv2d(inputs, SETS * relations, 1)
        self.other = nn.Conv2d(inputs, SETS * relations, 1)
        self.value = nn.Conv2d(inputs, SETS * outputs, 1)
        self.expand = nn.Conv2d(SETS * relations, SETS * outputs, 1, groups=SETS)
        self.adjacency = nn.Parameter(torch.from_numpy(directed_partition()))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.norm = nn.BatchNorm2d(outputs)
        nn.init.constant_(self.norm.weight, 1e-6)
        self.residual = Residual(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, Cout, T, V)."""
        y = self.value(x) @ self.topology(x)  # (N, 3 Cout, T, V)
        y = y.unflatten(1, (SETS, -1)).sum(1)
        return torch.relu(self.norm(y) + self.residual(x))

    def topology(self, x: Tensor) -> Tensor:
        """Return (N, 3 Cout, V, V), [from, to], of (N, Cin, T, V)."""
        # the published form averages after the 1x1 convolutions: the same, for T times the work
        mean = x.mean(2, keepdim=True)
        q, r = self.query(mean).squeeze(2), self.other(mean).squeeze(2)  # (N, 3 R, V)
        difference = torch.tanh(q[:, :, None, :] - r[:, :, :, None]).unflatten(1, (SETS, -1))
        # alpha scales the few weights, and the adjacency is one more relation that all channels have
        adjacency = self.adjacency.mT[:, None].expand(x.shape[0], -1, -1, -1, -1)
        relations = torch.cat((difference, adjacency), dim=2).flatten(1, 2)  # (N, 3 (R + 1), V, V)
        bias = self.expand.bias
        assert bias is not None
        weight = self.alpha * self.expand.weight[:, :, 0, 0]
        weight = torch.cat((weight, torch.ones_like(weight[:, :1])), dim=1)
        return F.conv2d(relations, weight[:, :, None, None], self.alpha * bias, groups=SETS)


def _entry(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU()]


class MultiScale(nn.Module):
    """Four temporal branches side by side: dilation 1 and 2, max pooling, and a plain 1x1."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        part = channels // 4
        dilated = [
            nn.Sequential(
                *_entry(channels, part),
                nn.Conv2d(part, part, (5, 1), (stride, 1), (2 * dilation, 0), (dilation, 1)),
                nn.BatchNorm2d(part),
            )
            for dilation in (1, 2)
        ]
        pooled = nn.Sequential(
            *_entry(channels, part), nn.MaxPool2d((3, 1), (stride, 1), (1, 0)), nn.BatchNorm2d(part)
        )
        plain = nn.Sequential(nn.Conv2d(channels, part, 1, (stride, 1)), nn.BatchNorm2d(part))
        self.branches = nn.ModuleList([*dilated, pooled, plain])

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, ceil(T / stride), V)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Unit(nn.Module):
    """A graph convolution, a multi-scale temporal one, and a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.graph = GraphConvolution(inputs, outputs)
        self.temporal = MultiScale(outputs, stride)
        self.residual = Residual(inputs, outputs, stride, present=not first)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, Cout, ceil(T / stride), V)."""
        return torch.relu(self.temporal(self.graph(x)) + self.residual(x))


@ENCODERS.register("ctr_gcn")
class CTRGCN(CTRGCNFacts, SkeletonEncoder):
    """Ten units; 1,431,252 parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *CHANNELS)
        self.norm = DataNorm(persons=2)
        self.units = nn.ModuleList(
            Unit(a, b, 2 if i in STRIDED else 1, first=i == 0)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )

    def feature_map(self, x: Tensor) -> Tensor:
        """Return (N, ~T / 4, 25, 256) of (N, 3, T, 25, M)."""
        y = self.norm(x)
        for unit in self.units:
            y = unit(y)
        return average_persons(y, 2)
