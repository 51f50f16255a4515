"""Measuring in a process of its own: nothing of what was measured before is in its memory or its caches."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

from tests.conftest import ROOT


def apart(benchmark: str, *arguments: int) -> dict[str, float]:
    """Return the JSON object that ``one(*arguments)`` of a benchmark prints last, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.benchmarks.bench_{benchmark} import one; one(*{arguments})"],
        stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_memory() -> float:
    """Return the most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
