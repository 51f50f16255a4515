"""Figures of any study, and the paper's 4 to 8 among them."""

from orchestrator.report.figures.catalogue import FIGURES, Drawn, Request, draw

__all__ = ["FIGURES", "Drawn", "Request", "draw"]
