"""What is kept of an error that ends an attempt. Knows PyTorch's own only where PyTorch is loaded."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from dvta.errors import NonFiniteLossError
from orchestrator.records import Failure


def failure(error: BaseException) -> Failure:
    """Return the failure that an error is."""
    torch = sys.modules.get("torch")
    kinds: list[tuple[Any, str]] = [
        (NonFiniteLossError, "non_finite"),
        (torch.cuda.OutOfMemoryError if torch else (), "out_of_memory"),
        (MemoryError, "out_of_memory"),
        (OSError, "disk"),
    ]
    kind = next((name for cls, name in kinds if isinstance(error, cls)), "error")
    message = str(error).strip() or type(error).__name__
    return Failure(kind, f"{type(error).__name__}: {message}", traceback.format_exc())
