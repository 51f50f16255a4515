"""A judgement as text for people and programs: terminal, Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any

from orchestrator.report.judging.bootstrap import Interval
from orchestrator.report.judging.judgement import Judgement, PairJudgement, RowJudgement
from orchestrator.report.judging.sentences import sentences
from orchestrator.report.sheet import FORMATS, Grid, Sheet, filled


def show(found: Judgement, style: str) -> str:
    """Return the judgement as ``rich``, ``md``, ``latex``, ``html``, ``csv`` or ``json``."""
    own = {"csv": _csv, "json": _json}
    return own[style](found) if style in own else FORMATS[style](sheet(found))


def title(found: Judgement) -> str:
    """Return what stands above it."""
    return f"Judgement of study {found.study}{' (simulated)' if found.simulated else ''}"


def rows_grid(found: Judgement) -> Grid:
    """Return the rows' table; a column that would be empty is left out."""
    what = "accuracy" if found.quantity == "accuracy" else found.quantity
    head = ["row", f"{what} [95 %]", "class splits", "seeds", "best - final", "mean rank"]
    return filled([head, *map(_row, found.rows)])


def pairs_grid(found: Judgement) -> Grid:
    """Return the table of pairs; a column that would be empty is left out."""
    head = ["row", "against", "Δ [95 %]", "class splits", "seeds", "p", "p Holm", "better", "same", "worse"]
    return filled([head, *map(_pair, found.pairs)])


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


def sheet(found: Judgement) -> Sheet:
    """Return the judgement as tables and lines."""
    grids = [rows_grid(found), *([pairs_grid(found)] if found.pairs else [])]
    return Sheet(title(found), tuple(grids), sentences(found), found.simulated)


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
