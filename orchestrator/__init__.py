"""The machine room of dvta-orch: from a YAML spec to a store of results, and from the store to tables.

``orchestrator.results`` is the Python door to what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.report.dataframe import results

__all__ = ["results"]


def __getattr__(name: str) -> Any:
    if name == "results":
        import importlib

        return importlib.import_module("orchestrator.report.dataframe").results
    raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
