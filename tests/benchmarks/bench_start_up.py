"""From a command to its answer: medians of five, each in a process of its own, beside an interpreter that imports PyTorch."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.rows import Row
from tests.conftest import ROOT

ROUNDS = 5
SPEC = """
study: small
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, method: devise, epochs: 1, train_per_class: 1, test_per_class: 1}
grid: {margin: [0.1, 0.5]}
seeds: 3
"""
COMMANDS = {
    "--help": ("--help",),
    "status": ("status",),
    "report": ("report",),
    "plan of the ablation": ("plan", str(ROOT / "experiments/ablation.yaml")),
    "a sweep with nothing to do": ("sweep", "spec.yaml"),
}


def run(folder: Path, *arguments: str, **environment: str) -> float:
    """Return the seconds of a command."""
    command = [sys.executable, "-c", "from orchestrator.cli.main import app; app()", *arguments]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
    )
    return time.perf_counter() - began


def first_step(folder: Path, number: int) -> float:
    """Return the seconds from a sweep's command to the moment a worker on Ray begins its first trial."""
    runs = f"runs-{number}"
    began = time.time()
    run(folder, "sweep", "spec.yaml", DVTA_RUNS=runs)
    with sqlite3.connect(folder / runs / "dvta.db") as connection:
        workers = [json.loads(row[0]) for row in connection.execute("SELECT worker FROM attempt")]
    assert len(workers) == 6
    return float(min(worker["began"] for worker in workers)) - began


def measure() -> Iterator[Row]:
    """Yield seconds by command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.yaml").write_text(SPEC)
        run(folder, "sweep", "spec.yaml", "--executor", "inline")
        bare = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            bare.append(time.perf_counter() - began)
        beside = f"import torch alone {statistics.median(bare):.2f} s"
        for what, arguments in COMMANDS.items():
            run(folder, *arguments)  # from the second time on the disk is warm and the code compiled
            seconds = statistics.median(run(folder, *arguments) for _ in range(ROUNDS))
            yield Row("start_up", f"dvta-orch {what}", seconds, "s", beside)
        steps = statistics.median(first_step(folder, number) for number in range(ROUNDS))
        yield Row("start_up", "dvta-orch sweep until a worker on Ray begins a trial", steps, "s", beside)
