"""A training step of DVTA, factored and straightforward, at batch 128 and 256/768 wide, in one run."""

from __future__ import annotations

import statistics
import time

import torch

from dvta.features import ClassText
from dvta.methods.dvta import DVTA
from tests.straightforward import Straightforward, official_weights

ROUNDS = 5


def main() -> None:
    """Print the ratio of median step times for fp32 and bf16."""
    weights = official_weights()
    model = DVTA.from_official(weights)
    model.train()
    plain = {k: v.clone().requires_grad_() for k, v in weights.items()}
    reference = Straightforward(plain)
    text = ClassText(torch.arange(55), torch.randn(55, 768), torch.randn(55, 768))
    visual, labels = torch.randn(128, 256).abs(), torch.randint(0, 55, (128,))

    def factored(bf16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.training_loss(visual, labels, text)
        loss.backward()

    def straightforward(bf16: bool) -> None:
        reference.loss(visual, labels, text.labels, text.contexts).backward()

    for name, bf16 in (("fp32", False), ("bf16", True)):
        seconds: dict[str, list[float]] = {"factored": [], "straightforward": []}
        for _ in range(ROUNDS):
            for form, step in (("factored", factored), ("straightforward", straightforward)):
                began = time.perf_counter()
                step(bf16)
                seconds[form].append(time.perf_counter() - began)
        fast, slow = (statistics.median(seconds[form]) for form in ("factored", "straightforward"))
        print(
            f"{name}: straightforward (fp32) {slow * 1000:.0f} ms, factored {fast * 1000:.0f} ms, ratio {slow / fast:.1f}"
        )


if __name__ == "__main__":
    main()
