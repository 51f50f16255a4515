"""The paper's tables as data: rows, columns, what each cell trains, and what the paper prints."""

from orchestrator.tables.layouts import EXTRA, GENERALISED, METHODS, TABLES, Cell, Layout, layout
from orchestrator.tables.leaderboard import NEWER

__all__ = ["EXTRA", "GENERALISED", "METHODS", "NEWER", "TABLES", "Cell", "Layout", "layout"]
