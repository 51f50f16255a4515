"""A judgement as text for people and programs: terminal, Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.report.judging.bootstrap import Interval
from orchestrator.report.judging.judgement import Judgement, PairJudgement, RowJudgement
from orchestrator.report.judging.sentences import sentences
from orchestrator.report.latex import escape
from orchestrator.report.render import literal
from orchestrator.report.terminal import plain_console, plain_table, print_whole

Grid = list[list[str]]  # the head, then the rows


def show(found: Judgement, style: str) -> str:
    """Return the judgement in one of :data:`FORMATS`."""
    return FORMATS[style](found)


def title(found: Judgement) -> str:
    """Return what stands above it."""
    return f"Judgement of study {found.study}{' (simulated)' if found.simulated else ''}"


def rows_grid(found: Judgement) -> Grid:
    """Return the rows' table; a column that would be empty is left out."""
    what = "accuracy" if found.quantity == "accuracy" else found.quantity
    head = ["row", f"{what} [95 %]", "class splits", "seeds", "best - final", "mean rank"]
    return _filled([head, *map(_row, found.rows)])


def pairs_grid(found: Judgement) -> Grid:
    """Return the table of pairs; a column that would be empty is left out."""
    head = ["row", "against", "Δ [95 %]", "class splits", "seeds", "p", "p Holm", "better", "same", "worse"]
    return _filled([head, *map(_pair, found.pairs)])


def _row(row: RowJudgement) -> list[str]:
    return [
        row.row,
        f"{row.mean:.2f}{_bounds(row.interval)}",
        str(row.units),
        _range(row.seeds),
        "" if row.gain is None else f"{row.gain:+.2f}",
        "" if row.rank is None else f"{row.rank:.2f}",
    ]


def _pair(pair: PairJudgement) -> list[str]:
    likely = pair.posterior
    return [
        pair.row,
        pair.other,
        f"{pair.mean:+.2f}{_bounds(pair.interval, '+')}",
        str(len(pair.differences)),
        _range(pair.seeds),
        "" if pair.p is None else f"{pair.p:.3g}",
        "" if pair.holm is None else f"{pair.holm:.3g}",
        *(
            ("", "", "")
            if likely is None
            else (f"{x:.2f}" for x in (likely.better, likely.equivalent, likely.worse))
        ),
    ]


def _bounds(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f" [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]"


def _range(bounds: tuple[int, int]) -> str:
    few, most = bounds
    return str(few) if few == most else f"{few} to {most}"


def _filled(grid: Grid) -> Grid:
    """Return a grid without the columns in which no row has anything."""
    kept = [i for i in range(len(grid[0])) if any(row[i] for row in grid[1:])]
    return [[row[i] for i in kept] for row in grid] if len(grid) > 1 else []


def _grids(found: Judgement) -> list[Grid]:
    return [grid for grid in (rows_grid(found), pairs_grid(found)) if grid]


def _text(found: Judgement) -> str:
    file = io.StringIO()
    console = plain_console(file)
    console.print(title(found), soft_wrap=True)
    for head, *rows in _grids(found):
        print_whole(plain_table(head, rows), console)
    for line in sentences(found):
        console.print(line, soft_wrap=True)
    return file.getvalue()


def _markdown(found: Judgement) -> str:
    from tabulate import tabulate

    shown = [
        tabulate(
            [[literal(text) for text in row] for row in rows],
            headers=[literal(text) for text in head],
            tablefmt="github",
            disable_numparse=True,
        )
        for head, *rows in _grids(found)
    ]
    lines = "\n".join(f"*{literal(line)}*  " for line in sentences(found))
    return "\n\n".join([f"**{literal(title(found))}**", *shown, lines]) + "\n"


def _latex(found: Judgement) -> str:
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table*}", "\\centering"]
    warning, *notes = sentences(found) if found.simulated else ("", *sentences(found))
    lines += [f"\\caption{{{escape('. '.join(filter(None, [title(found), warning])))}}}", "\\footnotesize"]
    for head, *rows in _grids(found):
        texts = [" & ".join(map(escape, row)) + r" \\" for row in (head, *rows)]
        lines += [f"\\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 1)}@{{}}}}", "\\toprule", texts[0]]
        lines += ["\\midrule", *texts[1:], "\\bottomrule", "\\end{tabular}", "\\par\\smallskip"]
    lines += ["\\begin{minipage}{\\linewidth}", "\\scriptsize\\raggedright"]
    lines += [" ".join(f"{escape(note)}." for note in notes), "\\end{minipage}", "\\end{table*}"]
    return "\n".join(lines) + "\n"


def _html(found: Judgement) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row)

    body = "\n".join(
        f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>\n"
        + "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
        + "\n</tbody></table>"
        for head, *rows in _grids(found)
    )
    notes = "\n".join(f"<p>{html.escape(line)}</p>" for line in sentences(found))
    name = html.escape(title(found))
    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{name}</title>\n<h1>{name}</h1>\n{body}\n{notes}\n'
    )


def _csv(found: Judgement) -> str:
    """Return one line a row and one a pair, ``kind`` telling them apart."""
    records = [{"kind": "row", **_flat(row)} for row in found.rows]
    records += [{"kind": "pair", **_flat(pair)} for pair in found.pairs]
    about = {
        "quantity": found.quantity,
        "protocol": found.protocol,
        "measured_on": found.measured_on,
        "simulated": found.simulated,
    }
    out = io.StringIO()
    names = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(out, [*names, *about], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({n: "" if v is None else v for n, v in (record | about).items()} for record in records)
    return out.getvalue()


def _flat(record: RowJudgement | PairJudgement) -> dict[str, Any]:
    """Return a record as plain columns."""
    values = dataclasses.asdict(record)
    interval = values.pop("interval") or {"low": None, "high": None, "levels": ()}
    values |= {"low": interval["low"], "high": interval["high"], "drawn": " ".join(interval["levels"])}
    few, most = values.pop("seeds")
    values |= {"least_seeds": few, "most_seeds": most}
    if isinstance(record, PairJudgement):
        differences = values.pop("differences")
        values |= {"units": len(differences), "differences": " ".join(f"{d:.6g}" for d in differences)}
        likely = values.pop("posterior") or {"better": None, "equivalent": None, "worse": None}
        values |= likely
    return values


def _json(found: Judgement) -> str:
    about = {"title": title(found), "caption": sentences(found), **dataclasses.asdict(found)}
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Judgement], str]] = {
    "rich": _text,
    "md": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}
