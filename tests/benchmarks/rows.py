"""What a benchmark measured: a row each of one table."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from pathlib import Path

import torch


@dataclasses.dataclass(frozen=True)
class Row:
    """A number with its unit; ``beside`` is what was measured in the same run to hold it against.

    Attributes:
        machine: what measured it; said by whoever collects the rows.
    """

    benchmark: str
    what: str
    value: float
    unit: str
    beside: str = ""
    machine: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.shown} {self.unit}" + (f" ({self.beside})" if self.beside else "")

    @property
    def shown(self) -> str:
        """The value with three digits, or whole from a hundred up."""
        return f"{self.value:,.0f}" if abs(self.value) >= 100 else f"{self.value:.3g}"


def machine() -> str:
    """Return the machine in a line."""
    model = "an unknown processor"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{cores} cores of {model} ({platform.machine()}), {memory:.0f} GiB, {gpu}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}"
    )
