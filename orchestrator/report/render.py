"""A table as text for people and programs: rich, Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
from collections.abc import Callable

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.table import Number, Table

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "τ": r"$\tau$", "γ": r"$\gamma$", "±": r"$\pm$",
    "—": "---", "Δ": r"$\Delta$", "→": r"$\to$", "=": "=",
}  # fmt: skip


def render(table: Table, style: str) -> str:
    """Return the table in one of :data:`FORMATS`."""
    return FORMATS[style](table)


def print_rich(table: Table, console: Console) -> None:
    """Print the table on a terminal."""
    console.print(Text(table.title, style="bold"), soft_wrap=True)
    shown = RichTable()
    shown.add_column(table.row_name)
    for column in table.columns:
        shown.add_column(column, justify="right")
    for row in table.rows:
        shown.add_row(row, *(_cell(table.numbers[row, c]) for c in table.columns))
    console.print(shown)
    for line in table.caption:
        console.print(
            Text(line, style="bold yellow" if line.startswith("SIMULATED") else "dim"), soft_wrap=True
        )


def _cell(number: Number) -> str:
    if number.mean is None:
        out = "—"
    else:
        spread = f" ± {number.std:.2f}" if number.std is not None else ""
        count = f"n={number.n}" if number.n == number.expected else f"n={number.n} of {number.expected}"
        out = f"{number.mean:.2f}{spread} ({count})"
    if number.paper is not None:
        gap = f", {number.difference:+.2f}" if number.difference is not None else ""
        out += f" [paper {number.paper}{gap}]"
    if number.paired is not None:
        p = f", p = {number.paired.p:.3g}" if number.paired.p is not None else ""
        out += f" Δ {number.paired.mean:+.2f} ({len(number.paired.differences)} pairs{p})"
    return out


def _grid(table: Table) -> list[list[str]]:
    head = [table.row_name, *table.columns]
    return [head, *([row, *(_cell(table.numbers[row, c]) for c in table.columns)] for row in table.rows)]


def _markdown(table: Table) -> str:
    from tabulate import tabulate

    head, *body = _grid(table)
    grid = tabulate(body, headers=head, tablefmt="github", disable_numparse=True)
    return f"**{table.title}**\n\n{grid}\n\n" + "\n".join(f"*{line}*  " for line in table.caption) + "\n"


def _latex(table: Table) -> str:
    head, *body = _grid(table)
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


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f.name for f in dataclasses.fields(Number)]
    writer.writerow(["row", "column", *names, "simulated"])
    for (row, column), number in table.numbers.items():
        values = [getattr(number, n) for n in names]
        writer.writerow([row, column, *("" if v is None else v for v in values), table.simulated])
    return out.getvalue()


def _json(table: Table) -> str:
    cells = [{"row": r, "column": c, **dataclasses.asdict(n)} for (r, c), n in table.numbers.items()]
    about = {"title": table.title, "caption": table.caption, "simulated": table.simulated}
    return json.dumps({**about, "cells": cells}, indent=1, ensure_ascii=False) + "\n"


def html_table(table: Table) -> str:
    """Return heading, table and caption as HTML without the page around them."""
    head, *body = [[html.escape(c) for c in row] for row in _grid(table)]
    rows = "\n".join(
        "<tr><th>" + row[0] + "</th>" + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>" for row in body
    )
    notes = "\n".join(
        f"<p{' class=warn' if line.startswith('SIMULATED') else ''}>{html.escape(line)}</p>"
        for line in table.caption
    )
    return (
        f"<h2>{html.escape(table.title)}</h2>\n<table><thead><tr>"
        + "".join(f"<th>{c}</th>" for c in head)
        + f"</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n{notes}\n"
    )


def _html(table: Table) -> str:
    from orchestrator.report.page import page

    return page(table.title, {"table": table})


def _escape(value: str) -> str:
    return "".join(_LATEX.get(character, character) for character in value)


FORMATS: dict[str, Callable[[Table], str]] = {
    "md": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}
