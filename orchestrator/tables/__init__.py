"""The paper's tables as data: rows, columns, what each cell trains, and what the paper prints."""

from orchestrator.tables.layouts import (
    ALL_CLASSES,
    DATASETS,
    EXTRA,
    GENERALISED,
    METHODS,
    TABLES,
    Cell,
    Layout,
    layout,
)
from orchestrator.tables.leaderboard import NEWER
from orchestrator.tables.leaderboard import QUANTITIES as SIDE_BY_SIDE
from orchestrator.tables.tuned import is_tuned, repeat_of, shown_row, tuned_row

__all__ = [
    "ALL_CLASSES",
    "DATASETS",
    "EXTRA",
    "GENERALISED",
    "METHODS",
    "NEWER",
    "SIDE_BY_SIDE",
    "TABLES",
    "Cell",
    "Layout",
    "is_tuned",
    "layout",
    "repeat_of",
    "shown_row",
    "tuned_row",
]
