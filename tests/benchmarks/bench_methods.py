"""A training step of every method on stand-in features of NTU-60, batch 128, one thread, in processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from dvta.data_ref import locate
from dvta.datasets.stand_in import StandIn
from dvta.methods import METHODS, build
from dvta.training import fit
from dvta.training_config import TrainingConfig
from orchestrator.execute.memory import keep_freed_pages
from tests.benchmarks.rows import Row

NAMES = (
    "devise", "relationnet", "revise", "jpose", "cada_vae", "synse", "smie", "purls", "dvta",
    "msf", "sa_dvae", "fs_vae", "flora_sentence", "tdsm",
)  # fmt: skip
OPTIONS = {
    "dvta": {"preset": "official"},
    "flora_sentence": {"alignment_steps": 20, "flow_steps": 20},
    "tdsm": {"depth": 2, "width": 256, "training_steps": 20},  # its small form
}
BATCH = 128


def measure() -> Iterator[Row]:
    """Yield milliseconds a step by method."""
    keep_freed_pages()
    torch.set_num_threads(1)
    for name in NAMES:
        method = METHODS.get(name)
        options = OPTIONS.get(name, {})
        needs = method.needs(method.options_class.resolve(dict(options)))
        stand_in = StandIn(train_per_class=10, test_per_class=2)
        data = locate(
            Path("data"),
            "ntu60",
            "55/5",
            "shift_gcn",
            "sbert",
            source="simulated",
            stand_in=stand_in,
            needs=needs,
        ).load()
        torch.manual_seed(0)
        model = build(name, visual_dim=data.visual_dim, text_dim=data.text_dim, **options)
        run = fit(model, data, TrainingConfig(epochs=2, batch_size=BATCH, lr=1e-4))
        next(run)  # warm
        run.begin_epoch()
        steps = model.batches_per_epoch(len(data.train), BATCH)
        began = time.process_time()
        run._train()
        taken = 1000 * (time.process_time() - began) / steps
        parameters = sum(p.numel() for p in model.parameters())
        yield Row("methods", f"a step of {name}", taken, "ms", f"{parameters:,} parameters")
