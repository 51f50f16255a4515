"""The paper's tables as data: rows, columns, what each cell trains, and what the paper prints."""

from orchestrator.tables.layouts import TABLES, Cell, Layout, layout

__all__ = ["TABLES", "Cell", "Layout", "layout"]
