"""Plain tables of text with lines below them, in every format that people read."""

from __future__ import annotations

import dataclasses
import html
import io
from collections.abc import Callable, Sequence

from orchestrator.report.latex import escape
from orchestrator.report.render import literal
from orchestrator.report.terminal import plain_console, plain_table, print_whole

Grid = list[list[str]]  # the head, then the rows


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A title, tables below each other, and lines; the first one warns where data are ``simulated``."""

    title: str
    grids: tuple[Grid, ...]
    lines: tuple[str, ...]
    simulated: bool = False


def filled(grid: Grid) -> Grid:
    """Return a grid without the columns in which no row has anything."""
    kept = [i for i in range(len(grid[0])) if any(row[i] for row in grid[1:])]
    return [[row[i] for i in kept] for row in grid]


def text(sheet: Sheet) -> str:
    """Return it for a terminal or a text file, no line shortened."""
    file = io.StringIO()
    console = plain_console(file)
    console.print(sheet.title, soft_wrap=True)
    for head, *rows in sheet.grids:
        print_whole(plain_table(head, rows), console)
    for line in sheet.lines:
        console.print(line, soft_wrap=True)
    return file.getvalue()


def markdown(sheet: Sheet) -> str:
    """Return it as Markdown."""
    from tabulate import tabulate

    shown = [
        tabulate(
            [[literal(cell) for cell in row] for row in rows],
            headers=[literal(cell) for cell in head],
            tablefmt="github",
            disable_numparse=True,
        )
        for head, *rows in sheet.grids
    ]
    lines = "\n".join(f"*{literal(line)}*  " for line in sheet.lines)
    return "\n\n".join([f"**{literal(sheet.title)}**", *shown, lines]) + "\n"


def latex(sheet: Sheet) -> str:
    """Return it as a LaTeX float with booktabs; the warning of simulated data stands in the caption."""
    warning, notes = sheet.lines[: sheet.simulated], sheet.lines[sheet.simulated :]
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table*}", "\\centering"]
    lines += [f"\\caption{{{escape('. '.join([sheet.title, *warning]))}}}", "\\footnotesize"]
    for head, *rows in sheet.grids:
        first, *others = (" & ".join(map(escape, row)) + r" \\" for row in (head, *rows))
        lines += [f"\\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 1)}@{{}}}}", "\\toprule", first]
        lines += ["\\midrule", *others, "\\bottomrule", "\\end{tabular}", "\\par\\smallskip"]
    lines += ["\\begin{minipage}{\\linewidth}", "\\scriptsize\\raggedright"]
    lines += [" ".join(f"{escape(note)}." for note in notes), "\\end{minipage}", "\\end{table*}"]
    return "\n".join(lines) + "\n"


def page(sheet: Sheet) -> str:
    """Return it as one HTML file."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)

    body = "\n".join(
        f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>\n"
        + "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
        + "\n</tbody></table>"
        for head, *rows in sheet.grids
    )
    notes = "\n".join(f"<p>{html.escape(line)}</p>" for line in sheet.lines)
    name = html.escape(sheet.title)
    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{name}</title>\n<h1>{name}</h1>\n{body}\n{notes}\n'
    )


FORMATS: dict[str, Callable[[Sheet], str]] = {"rich": text, "md": markdown, "latex": latex, "html": page}
