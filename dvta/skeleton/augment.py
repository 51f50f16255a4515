"""Random changes of skeletons while a network trains on them: shear, rotation, temporal crop, mirror."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from dvta.errors import OptionError

#: joints of the left and of the right side of the 25, in the same order
LEFT = (4, 5, 6, 7, 12, 13, 14, 15, 21, 22)
RIGHT = (8, 9, 10, 11, 16, 17, 18, 19, 23, 24)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far a sample is changed; 0 everywhere changes nothing.

    Attributes:
        shear: every off-diagonal entry of the shear matrix is drawn from [-shear, shear]; 0.5 is usual.
        rotation: degrees; the angle about each axis is drawn from [-rotation, rotation].
        crop: largest part of the time that is cut away; the rest is stretched back by linear interpolation.
        mirror: probability with which left and right change places.
    """

    shear: float = 0.0
    rotation: float = 0.0
    crop: float = 0.0
    mirror: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("shear", 1.0), ("rotation", 180.0), ("crop", 0.9), ("mirror", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise OptionError(f"{name}: {value!r} is impossible; allowed: 0 to {most:g}")

    def __call__(self, x: Tensor) -> Tensor:
        """Return (N, 3, T, 25, M) skeletons, each changed in its own way by PyTorch's random generator."""
        if self.crop:
            x = _crop(x, self.crop)
        if self.mirror:
            x = _mirror(x, torch.rand(len(x), device=x.device) < self.mirror)
        if self.shear or self.rotation:
            turn = _rotations(_uniform(x, self.rotation, (len(x), 3)))
            slant = _uniform(x, self.shear, (len(x), 3, 3))
            slant = slant - torch.diag_embed(slant.diagonal(dim1=1, dim2=2)) + torch.eye(3, device=x.device)
            x = torch.einsum("nij,njtvm->nitvm", turn @ slant, x)
        return x


def _uniform(x: Tensor, most: float, shape: tuple[int, ...]) -> Tensor:
    return (2 * torch.rand(shape, device=x.device) - 1) * most


def _rotations(degrees: Tensor) -> Tensor:
    """Return (N, 3, 3) rotations about x, then y, then z, of (N, 3) angles."""
    cos, sin = torch.cos(degrees * (math.pi / 180)), torch.sin(degrees * (math.pi / 180))
    whole = torch.eye(3, device=degrees.device).expand(len(degrees), 3, 3)
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3, device=degrees.device).repeat(len(degrees), 1, 1)
        turn[:, i, i] = turn[:, j, j] = cos[:, axis]
        turn[:, j, i] = sin[:, axis]
        turn[:, i, j] = -sin[:, axis]
        whole = turn @ whole
    return whole


def _crop(x: Tensor, most: float) -> Tensor:
    """Return every sample's own stretch of time, resampled to all T frames, its first and last frame kept."""
    n, c, t, v, m = x.shape
    kept = 1 - most * torch.rand(n, device=x.device)
    start = torch.rand(n, device=x.device) * (1 - kept)
    steps = torch.linspace(0, 1, t, device=x.device)
    where = (start[:, None] + kept[:, None] * steps) * (t - 1)  # (N, T)
    low = where.floor().long().clamp(0, max(t - 2, 0))
    part = (where - low).view(n, 1, t, 1, 1)
    index = low.view(n, 1, t, 1, 1).expand(n, c, t, v, m)
    return x.gather(2, index) * (1 - part) + x.gather(2, (index + 1).clamp_max(t - 1)) * part


def _mirror(x: Tensor, chosen: Tensor) -> Tensor:
    """Return the samples with those chosen (N,) seen in a mirror: x changes its sign, left and right their joints."""
    order = torch.arange(x.shape[3], device=x.device)
    order[list(LEFT + RIGHT)] = torch.tensor(RIGHT + LEFT, device=x.device)
    sign = torch.tensor([-1.0, 1.0, 1.0], device=x.device, dtype=x.dtype).view(1, 3, 1, 1, 1)
    return torch.where(chosen.view(-1, 1, 1, 1, 1), x[:, :, :, order] * sign, x)
