"""The result store: the one truth about what ran and what it measured."""

from orchestrator.records import AttemptInfo, CellValue, Claim, EpochRow, Standing, TrialStatus
from orchestrator.store.store import Store

__all__ = ["AttemptInfo", "CellValue", "Claim", "EpochRow", "Standing", "Store", "TrialStatus"]
