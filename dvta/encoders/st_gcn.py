"""ST-GCN (Yan et al., 2018), classical and in the small form SMIE and DVTA use."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

from dvta.encoders.base import ENCODERS, DataNorm, Residual, SkeletonEncoder, average_persons
from dvta.facts.encoders import ClassicalSTGCNFacts, SmallSTGCNFacts, STGCNFacts
from dvta.skeleton.graph import spatial_partition

CHANNELS = {
    "small": (16, 16, 16, 16, 32, 32, 32, 64, 64, 256),
    "classical": (64, 64, 64, 64, 128, 128, 128, 256, 256, 256),
}
STRIDED = (4, 7)  # blocks 5 and 8


class Block(nn.Module):
    """A graph convolution over three neighbour sets and a temporal one of 9 frames."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(inputs, 3 * outputs, 1)
        self.temporal = nn.Sequential(
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, (9, 1), (stride, 1), (4, 0)),
            nn.BatchNorm2d(outputs),
            nn.Dropout(0.0 if first else 0.5),
        )
        self.residual = Residual(inputs, outputs, stride, present=not first)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Return (N, Cout, T / stride, V) of (N, Cin, T, V); adjacency (3, V, V) is [source, target]."""
        y = self.spatial(x).unflatten(1, (3, -1))  # (N, 3, Cout, T, V)
        y = torch.einsum("nkctv,kvw->nctw", y, adjacency)
        return torch.relu(self.temporal(y) + self.residual(x))


class STGCN(STGCNFacts, SkeletonEncoder):
    """Ten blocks with learned edge weights; persons are samples until the end.

    Args:
        size: ``small`` (821,380 parameters) or ``classical`` (3,083,412).
        partition: see :class:`STGCNOptions`.
    """

    def __init__(
        self,
        size: Literal["small", "classical"] = "small",
        partition: Literal["official", "true_distance"] = "official",
    ) -> None:
        super().__init__()
        widths = (3, *CHANNELS[size])
        self.norm = DataNorm()
        self.register_buffer("adjacency", torch.from_numpy(spatial_partition(partition)), persistent=False)
        self.blocks = nn.ModuleList(
            Block(a, b, 2 if i in STRIDED else 1, first=i == 0)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.edges = nn.ParameterList(nn.Parameter(torch.ones(3, 25, 25)) for _ in self.blocks)

    def feature_map(self, x: Tensor) -> Tensor:
        """Return (N, T / 4, 25, 256) of (N, 3, T, 25, M)."""
        persons = x.shape[4]
        y = self.norm(x)
        for block, edges in zip(self.blocks, self.edges, strict=True):
            y = block(y, self.adjacency * edges)
        return average_persons(y, persons)


@ENCODERS.register("st_gcn")
class SmallSTGCN(SmallSTGCNFacts, STGCN):
    """The narrow ST-GCN of SMIE and DVTA; its training is theirs."""

    def __init__(self, partition: Literal["official", "true_distance"] = "official") -> None:
        super().__init__("small", partition)


@ENCODERS.register("st_gcn_classical")
class ClassicalSTGCN(ClassicalSTGCNFacts, STGCN):
    """The published ST-GCN with its recipe for NTU RGB+D."""

    def __init__(self, partition: Literal["official", "true_distance"] = "official") -> None:
        super().__init__("classical", partition)
