"""DVTA's metric network on all pairs of a batch, on a CPU without its large intermediates.

The first layer is linear on a concatenation, so each side is projected once and the pairs are formed
by adding. On a CPU the (B K, 2Dt) sums and their gradient are never held: a few samples at a time are
added, rectified and multiplied while they are in the cache, and added again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

METRIC_HIDDEN = 768  # does not follow the text width in the published code either
PAIRS_PER_THREAD = 1024  # formed at once: the fastest of 128 to 4096 on two cores with 2 MiB of cache each


class MetricNetwork(nn.Module):
    """The deep metric network E on ``[v ; t]``: 2Dt -> 2Dt -> 768 -> 1 (paper section 3.2.2)."""

    #: on a CPU, form the pairs in parts: less memory, but other last bits than earlier trials have
    in_parts: ClassVar[bool] = False

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.l0 = nn.Linear(2 * text_dim, 2 * text_dim)
        self.l1 = nn.Linear(2 * text_dim, METRIC_HIDDEN)
        self.l2 = nn.Linear(METRIC_HIDDEN, 1)
        self._text_dim = text_dim

    def visual_half(self, v: Tensor) -> Tensor:
        """Return the visual side of the first layer, bias included: (B, Dt) -> (B, 2Dt)."""
        return F.linear(v, self.l0.weight[:, : self._text_dim], self.l0.bias)

    def text_half(self, t: Tensor) -> Tensor:
        """Return the text side of the first layer: (..., Dt) -> (..., 2Dt)."""
        return F.linear(t, self.l0.weight[:, self._text_dim :])

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Return E (B, K) of all pairs.

        Args:
            ours: (B, 2Dt) visual halves.
            theirs: (K, 2Dt) text halves, or (B, K, 2Dt) where every sample has texts of its own.
        """
        if self.in_parts and ours.device.type == "cpu":
            weights = (self.l1.weight, self.l1.bias, self.l2.weight)
            cast = (x.to(ours.dtype) for x in (theirs, *weights))
            energies, _ = _PairEnergies.apply(ours, *cast)  # type: ignore[no-untyped-call]
            return energies + self.l2.bias.to(ours.dtype)  # type: ignore[no-any-return]
        return pair_energies(ours, theirs, self.l1, self.l2)


def pair_energies(ours: Tensor, theirs: Tensor, l1: nn.Linear, l2: nn.Linear) -> Tensor:
    """Return E (B, K) with every intermediate held; on an accelerator, and what the parts must equal."""
    hidden = F.relu(l1(F.relu(ours[:, None] + theirs, inplace=True)), inplace=True)
    return l2(hidden).squeeze(-1)  # type: ignore[no-any-return]


class _PairEnergies(torch.autograd.Function):
    """``relu(relu(ours_i + theirs_ij) W^T + b) . w`` in parts; all tensors of one floating type.

    Kept for the backward pass is the second hidden layer (B K, 768); the first is formed again.
    """

    @staticmethod
    def forward(
        ours: Tensor, theirs: Tensor, weight: Tensor, bias: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return energies (B, K) and the second hidden layer."""
        hidden = ours.new_empty(len(ours) * theirs.shape[-2], len(weight))
        for _, pairs, first in _first_layers(ours, theirs):
            torch.addmm(bias, first.flatten(0, 1), weight.T, out=hidden[pairs]).relu_()
        return (hidden @ last.T).view(len(ours), -1), hidden

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the backward pass cannot form cheaply."""
        ours, theirs, weight, _, last = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(ours, theirs, weight, last, output[1])

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, energies: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of every input; sums over parts are at least fp32."""
        ours, theirs, weight, last, hidden = ctx.saved_tensors
        energies = energies.reshape(-1, 1)
        wide = torch.promote_types(ours.dtype, torch.float32)
        grad_ours, grad_theirs = torch.empty_like(ours), torch.zeros(theirs.shape, dtype=wide)
        grad_weight, grad_bias = torch.zeros(weight.shape, dtype=wide), torch.zeros(len(weight), dtype=wide)
        slopes = belows = ours.new_empty(0)
        for samples, pairs, first in _first_layers(ours, theirs):
            if not len(slopes):  # the first part is the largest; its memory stays in the cache
                slopes, belows = torch.empty_like(hidden[pairs]), torch.empty_like(first)
            slope = torch.mul(energies[pairs], last, out=slopes[: pairs.stop - pairs.start])  # (P, 768)
            _mask(slope, hidden[pairs])
            _add_product(grad_weight, slope.T, first.flatten(0, 1))
            grad_bias += slope.sum(0)
            below = belows[: len(first)]  # (b, K, 2Dt)
            torch.mm(slope, weight, out=below.flatten(0, 1))
            _mask(below, first)
            torch.sum(below, 1, out=grad_ours[samples])
            if theirs.ndim == 3:
                grad_theirs[samples] = below
            else:
                grad_theirs += below.sum(0)
        sums = (grad_theirs, grad_weight, grad_bias, energies.T @ hidden)
        return grad_ours, *(s.to(ours.dtype) for s in sums)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, tuple[int, int]]:
        """Map over models one after the other: each fills the processor."""
        each = (
            _PairEnergies.apply(  # type: ignore[no-untyped-call]
                *(x if d is None else x.select(d, i) for x, d in zip(inputs, in_dims, strict=True))
            )
            for i in range(info.batch_size)
        )
        return tuple(torch.stack(outputs) for outputs in zip(*each, strict=True)), (0, 0)


def _first_layers(ours: Tensor, theirs: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield some samples, their pairs and the first layer of those (b, K, 2Dt), which is overwritten next."""
    count = theirs.shape[-2]
    size = max(1, PAIRS_PER_THREAD * torch.get_num_threads() // count)
    buffer = ours.new_empty(min(size, len(ours)), count, ours.shape[1])
    for start in range(0, len(ours), size):
        part = ours[start : start + size]
        samples = slice(start, start + len(part))
        first = torch.add(
            part[:, None], theirs[samples] if theirs.ndim == 3 else theirs, out=buffer[: len(part)]
        )
        yield samples, slice(start * count, (start + len(part)) * count), first.relu_()


def _mask(gradient: Tensor, activation: Tensor) -> None:
    """Overwrite a gradient with 0 where a ReLU was closed."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add ``a @ b`` to a total that may be wider."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b
