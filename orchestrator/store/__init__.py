"""The result store: the one truth about what ran and what it measured."""

from orchestrator.store.records import CellValue, Claim, EpochRow, TrialStatus
from orchestrator.store.store import Store

__all__ = ["CellValue", "Claim", "EpochRow", "Store", "TrialStatus"]
