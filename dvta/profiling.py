"""Efficiency of an alignment model on pre-extracted features (Table 9)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dvta.features import ClassText
from dvta.methods.base import Method


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a method costs.

    Attributes:
        parameters: learnable parameters, temperatures included.
        macs_per_pair: multiply-accumulates of one sample and one class, the textbook count of
            Table 9: every weight matrix on the way once.
        macs_per_sample: multiply-accumulates executed to score one sample against all candidates.
        candidates: the number of candidate classes.
        fps: batch size -> samples scored per second.
        device: where that was measured.
    """

    parameters: int
    macs_per_pair: int
    macs_per_sample: int
    candidates: int
    fps: dict[int, float]
    device: str

    @property
    def flops_per_pair(self) -> int:
        """Twice the multiply-accumulates, the other convention of Table 9."""
        return 2 * self.macs_per_pair


def parameters(module: nn.Module) -> int:
    """Return the number of learnable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def macs(method: Method, visual: torch.Tensor, text: ClassText) -> int:
    """Return the multiply-accumulates of the matrix products executed to score ``visual``."""
    method.eval()
    # fitting a classifier to these classes is no part of scoring
    method.adapt(text, torch.Generator().manual_seed(0))
    with torch.inference_mode(), FlopCounterMode(display=False) as flops:
        method.class_scores(visual, text)
    return int(flops.get_total_flops()) // 2


def profile(
    method: Method,
    visual: torch.Tensor,
    text: ClassText,
    *,
    batch_sizes: tuple[int, ...] = (1, 1024),
    seconds: float = 1.0,
) -> Profile:
    """Measure a method on the device its weights are on.

    Args:
        visual: (N, Dv) features to score; repeated to fill a batch.
        text: the candidate classes.
        seconds: least time measured per batch size, after a warm-up.
    """
    device = next(method.parameters()).device
    visual, text = visual.to(device), text.to(device)
    fps = {}
    for size in batch_sizes:
        batch = visual[torch.arange(size) % len(visual)]
        fps[size] = _samples_per_second(method, batch, text, seconds)
    one = text.select(text.ids[:1])
    return Profile(
        parameters=parameters(method),
        macs_per_pair=method.macs_per_pair() or macs(method, visual[:1], one),
        macs_per_sample=macs(method, visual[:1], text),
        candidates=len(text.ids),
        fps=fps,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    )


def profile_published(
    method: type[Method],
    options: Mapping[str, Any],
    device: str,
    *,
    candidates: int = 12,
    batch_sizes: tuple[int, ...] = (1, 1024),
    seconds: float = 1.0,
) -> Profile:
    """Measure an untrained method at the widths of its publication, on random input (Table 9).

    Visual features are 256 wide (un-pooled ones (3, 25, 256)), texts ``method.published_text_dim``.
    """
    given = {k: v for k, v in options.items() if v is not None}
    resolved = method.options_class.resolve(given)
    width = method.published_text_dim
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    model = method(visual_dim=256, text_dim=width, options=resolved).to(device)
    shape = (3, 25, 256) if "unpooled" in method.needs(resolved) else (256,)
    words = {name: draw(candidates, width) for name in ("labels", "contexts", "verbs", "nouns", "motions")}
    ids = torch.arange(candidates)
    text = ClassText(ids=ids, verb_ids=ids, noun_ids=ids, parts=draw(candidates, 8, width), **words).to(
        device
    )
    model.adapt(text, generator)
    return profile(model, draw(16, *shape).abs(), text, batch_sizes=batch_sizes, seconds=seconds)


def _samples_per_second(method: Method, batch: torch.Tensor, text: ClassText, seconds: float) -> float:
    def synchronize() -> None:
        if batch.is_cuda:
            torch.cuda.synchronize()

    method.eval()
    with torch.inference_mode():
        for _ in range(3):
            method.class_scores(batch, text)
        synchronize()
        runs, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            method.class_scores(batch, text)
            synchronize()
            runs += 1
    return runs * len(batch) / elapsed
