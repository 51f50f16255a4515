"""A table as LaTeX for a paper."""

from __future__ import annotations

from orchestrator.report.table import Table
from orchestrator.report.text import grid

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$", "γ": r"$\gamma$", "±": r"$\pm$",
    "—": "---", "Δ": r"$\Delta$", "→": r"$\to$", "×": r"$\times$",
}  # fmt: skip


def latex(table: Table) -> str:
    """Return the table as a LaTeX float."""
    head, *body = grid(table)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        "\\begin{tabular}{l" + "r" * len(table.columns) + "}",
        "\\toprule",
        " & ".join(map(_escape, head)) + r" \\",
        "\\midrule",
        *(" & ".join(map(_escape, row)) + r" \\" for row in body),
        "\\bottomrule",
        "\\end{tabular}",
        "\\caption{" + _escape(". ".join([table.title, *table.caption])) + "}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escape(value: str) -> str:
    return "".join(_LATEX.get(character, character) for character in value)
