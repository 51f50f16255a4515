"""The paper's tables as data: rows, columns, what each cell trains, and what the paper prints."""

from orchestrator.tables.layouts import GENERALISED, METHODS, TABLES, Cell, Layout, layout

__all__ = ["GENERALISED", "METHODS", "TABLES", "Cell", "Layout", "layout"]
