"""What every trained skeleton encoder is, and the registry of encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dvta.facts import ENCODERS, EncoderFacts

WIDTH = 256  # of every published encoder's feature


class SkeletonEncoder(EncoderFacts, nn.Module):
    """A network from skeletons to 256-d features; subclasses give :meth:`feature_map`.

    A classifier of the seen classes trains it: one linear layer on the pooled feature. A subclass
    takes the fields of its :attr:`options_class` by keyword.
    """

    def feature_map(self, x: Tensor) -> Tensor:
        """Return un-pooled features (N, T', 25, 256) of (N, 3, T, 25, M) skeletons, persons averaged."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return pooled features (N, 256): the mean over time, joints and persons."""
        return self.feature_map(x).mean((1, 2))

    def make_exportable(self) -> None:
        """Replace, in place, what the graph of an export cannot hold; features stay the same, training need not."""

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return the optimiser's parameter groups, each with its weight decay."""
        return [{"params": list(self.parameters()), "weight_decay": weight_decay}]


def build_encoder(name: str, options: Mapping[str, Any] | None = None) -> SkeletonEncoder:
    """Build a skeleton encoder by name.

    Args:
        name: a registered name, an entry point of the group ``dvta.encoders`` or a dotted path.
        options: the encoder's own switches, over its defaults.

    Raises:
        UnknownNameError: no encoder has that name.
        OptionError: an option is unknown or impossible.
    """
    cls = ENCODERS.get(name)
    return cls(**cls.options_class.resolve(options or {}).canonical())


def average_persons(x: Tensor, persons: int) -> Tensor:
    """Return (N M, C, T, V) features as (N, T, V, C), the mean over persons."""
    _, c, t, v = x.shape
    return x.reshape(-1, persons, c, t, v).mean(1).permute(0, 2, 3, 1)


class DataNorm(nn.Module):
    """Batch normalisation of every coordinate of every joint, with or without the persons apart."""

    def __init__(self, persons: int | None = None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3 * 25 * (persons or 1))
        self._persons = persons

    def forward(self, x: Tensor) -> Tensor:
        """Return (N M, 3, T, 25) of (N, 3, T, 25, M)."""
        n, c, t, v, m = x.shape
        if self._persons is not None and m < self._persons:
            # a second body that is not there is a body of zeros, as in the published files
            x = torch.cat((x, x.new_zeros(n, c, t, v, self._persons - m)), dim=4)
            m = self._persons
        if self._persons is None:
            flat = x.permute(0, 4, 3, 1, 2).reshape(n * m, v * c, t)
        else:
            flat = x.permute(0, 4, 3, 1, 2).reshape(n, m * v * c, t)
        normal = self.norm(flat).reshape(n * m, v, c, t)
        return normal.permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """A skip connection: nothing, the identity, or a 1x1 convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, present: bool = True) -> None:
        super().__init__()
        self._present = present
        same = inputs == outputs and stride == 1
        self.change = (
            None
            if same or not present
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, (stride, 1)), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor | float:
        """Return what is added to the block's output."""
        if not self._present:
            return 0.0
        return x if self.change is None else self.change(x)  # type: ignore[no-any-return]
