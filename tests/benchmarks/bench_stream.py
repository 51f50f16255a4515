"""A recording that grows by 60 frames a second, classified every quarter of a second on one core.

A writer (a process of its own) appends frames of a BVH file as a camera would; the command's own loop reads them, cuts
windows of two seconds, encodes them with ST-GCN and scores them with DVTA at the published widths. Printed is how long
after its last frame was read a window was answered. The weights are random: they change no time.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from dvta.encoders import build_encoder
from dvta.live import Span
from dvta.methods import build
from dvta.predict import phrase_text
from dvta.skeleton.motion import Reading
from orchestrator.cli.asked import Asked
from orchestrator.cli.watch import Latencies, Watching, watch
from tests.benchmarks.rows import Row
from tests.people import write_person

RATE, SECONDS, PHRASES = 60, 40, 10
BOUND = 0.1  # seconds, of the 99th percentile
BOUNDED = ("st_gcn",)  # encoders that are held to it; of the others it is printed


class Model:
    """What :func:`orchestrator.cli.watch.watch` asks of a trained trial, with random weights."""

    recipe = "windows"

    def __init__(self, encoder: str) -> None:
        torch.manual_seed(0)
        self._encoder = build_encoder(encoder).eval()
        self.method = build("dvta", visual_dim=256, text_dim=768).eval()

    def need_encoder(self, what: str) -> None:
        """There is one."""

    def text(self, phrases: list[str], contexts: list[str], model: str | None) -> object:
        """Return random texts."""
        return phrase_text(*torch.randn(2, len(phrases), 768))

    def adapt(self, text: object) -> None:
        """Nothing to fit."""

    def encode(self, skeletons: torch.Tensor) -> torch.Tensor:
        """Return pooled features."""
        with torch.inference_mode():
            return self._encoder(skeletons).clone()


def grow(path: Path, rows: list[bytes]) -> None:
    """Append a frame 60 times a second."""
    begun = time.perf_counter()
    with path.open("ab", buffering=0) as file:
        for index, row in enumerate(rows):
            wait = begun + index / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            file.write(row)


def watched(encoder: str, folder: Path) -> Latencies:
    """Watch a recording while it grows; return how long the answers took."""
    whole = write_person(folder / "whole.bvh", "mixamo", frames=RATE * SECONDS)
    lines = whole.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith(b"Frame Time")) + 1
    path = folder / f"{encoder}.bvh"
    path.write_bytes(b"".join(lines[:first]))
    model = Model(encoder)
    for _ in range(10):  # warm
        model.encode(torch.randn(1, 3, 50, 25, 1))
    writer = multiprocessing.get_context("spawn").Process(target=grow, args=(path, lines[first:]))
    writer.start()
    asked = Asked([f"phrase {i}" for i in range(PHRASES)], None)
    watching = Watching(Span.parse("2s", "window"), Span.parse("0.25s", "every"), 10.0)
    output, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    try:
        found = watch(model, str(path), asked, None, Reading(), watching, lambda line: None)  # type: ignore[arg-type]
    finally:
        sys.stdout.close()
        sys.stdout = output
    writer.join()
    return found


def measure() -> Iterator[Row]:
    """Yield the latencies; fail where the 99th percentile is at or over the bound."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    over = []
    with tempfile.TemporaryDirectory() as folder:
        for encoder in ("st_gcn", "shift_gcn", "ctr_gcn"):
            found = watched(encoder, Path(folder))
            half, most = torch.tensor(found.live).quantile(torch.tensor([0.5, 0.99])).tolist()
            what = f"{encoder}, one core, {RATE} frames a second, a window of 2 s every 0.25 s"
            beside = f"median {1e3 * half:.1f} ms, {len(found.live)} answers, {found.late} late"
            yield Row("stream", f"{what}: 99th percentile", 1e3 * most, "ms", beside)
            if encoder in BOUNDED and most >= BOUND:
                over.append(encoder)
    if over:
        raise SystemExit(f"99th percentile at or over {1e3 * BOUND:g} ms: {', '.join(over)}")
