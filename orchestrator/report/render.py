"""A table as text for people and programs: rich, Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
import re
from collections.abc import Callable

from orchestrator.report.latex import latex
from orchestrator.report.number import Number
from orchestrator.report.table import Table
from orchestrator.report.terminal import as_text
from orchestrator.report.text import grid


def render(table: Table, style: str) -> str:
    """Return the table in one of :data:`FORMATS`."""
    return FORMATS[style](table)


def _markdown(table: Table) -> str:
    from tabulate import tabulate

    head, *body = [[literal(text) for text in row] for row in grid(table)]
    shown = tabulate(body, headers=head, tablefmt="github", disable_numparse=True)
    caption = "\n".join(f"*{literal(line)}*  " for line in table.caption)
    return f"**{literal(table.title)}**\n\n{shown}\n\n{caption}\n"


def literal(text: str) -> str:
    """Return a text that Markdown shows as it is; underscores inside a word are no markup."""
    return re.sub(r"[\\`*|<]|\](?=[(\[])|\b_|_\b", r"\\\g<0>", text)


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
    head, *body = [[html.escape(c) for c in row] for row in grid(table)]
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


FORMATS: dict[str, Callable[[Table], str]] = {
    "rich": as_text,
    "md": _markdown,
    "latex": latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}

#: what the ending of a file says of its format
ENDINGS = {".txt": "rich", ".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json", ".html": "html"}
