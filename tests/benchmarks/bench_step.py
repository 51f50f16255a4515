"""DVTA's training step at batch 128 and 256/768 wide, on one thread, in one run.

Side by side: the authors' form (B x B rows through the whole network), ours with every intermediate
held, ours in parts, and the metric network's three large products alone, which nothing undercuts.
What counts is processor time, a step's own share of a machine that does other things too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch

from dvta.features import ClassText
from dvta.methods.dvta import DVTA
from dvta.methods.metric_network import MetricNetwork, pair_energies
from orchestrator.execute.memory import keep_freed_pages
from tests.benchmarks.rows import Row
from tests.straightforward import Straightforward, official_weights

ROUNDS = 3
BATCH, VISUAL, TEXT = 128, 256, 768


class Held(MetricNetwork):
    """The metric network with every intermediate held."""

    def forward(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Return E (B, K)."""
        return pair_energies(ours, theirs, self.l1, self.l2)


def product_limit(bf16: bool) -> Callable[[], None]:
    """Return the products of the metric network's second layer: forward, by weights, by inputs."""
    kind = torch.bfloat16 if bf16 else torch.float32
    first, weight = torch.randn(BATCH**2, 2 * TEXT).to(kind), torch.randn(768, 2 * TEXT).to(kind)
    slope = torch.randn(BATCH**2, 768).to(kind)

    def products() -> None:
        first @ weight.T, slope.T @ first, slope @ weight

    return products


def make_forms(bf16: bool) -> dict[str, Callable[[], None]]:
    """Return the steps to compare."""
    weights = official_weights(VISUAL, TEXT)
    parts, held = DVTA.from_official(weights), DVTA.from_official(weights)
    network = Held(TEXT)
    assert held.metric is not None
    network.load_state_dict(held.metric.state_dict())
    held.metric = network
    reference = Straightforward({k: v.clone().requires_grad_() for k, v in weights.items()})
    text = ClassText(torch.arange(55), torch.randn(55, TEXT), torch.randn(55, TEXT))
    visual, labels = torch.randn(BATCH, VISUAL).abs(), torch.randint(0, 55, (BATCH,))

    def step(model: DVTA) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.training_loss(visual, labels, text)
        loss.backward()

    forms: dict[str, Callable[[], None]] = {
        "held": lambda: step(held),
        "in parts": lambda: step(parts),
        "product limit": product_limit(bf16),
    }
    assert text.contexts is not None
    contexts = text.contexts
    forms["straightforward (fp32)"] = lambda: reference.loss(visual, labels, text.labels, contexts).backward()
    return forms


def measure() -> Iterator[Row]:
    """Yield median step times beside the product limit and the straightforward form."""
    keep_freed_pages()
    torch.set_num_threads(1)
    for name, bf16 in (("fp32", False), ("bf16", True)):
        forms = make_forms(bf16)
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(ROUNDS):
            for form, step in forms.items():
                began = time.process_time()
                step()
                seconds[form].append(time.process_time() - began)
        median = {form: statistics.median(found) for form, found in seconds.items()}
        limit, authors = median["product limit"], median["straightforward (fp32)"]
        for form in ("held", "in parts"):
            ours = median[form]
            yield Row(
                "step",
                f"DVTA's step, batch {BATCH}, one thread, {name}, {form}",
                1000 * ours,
                "ms",
                f"the straightforward form in fp32 {1000 * authors:.0f} ms, {authors / ours:.1f} times; "
                f"{100 * limit / ours:.0f} % of the product limit",
            )
