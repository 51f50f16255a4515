"""A verdict on every published number of a table: inside what was measured, outside it, or not comparable.

A published number is one run on the same test samples. So it is held against where one more seed would
fall: Student's prediction interval ``mean ± t sqrt(1 + 1/n) s`` over the n measured seeds, under the
protocol of the published number (``best``). Classes are not drawn: they are the same.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.records import ACCURACY, Slot
from orchestrator.report.captions import SIMULATED
from orchestrator.report.number import Number
from orchestrator.report.sheet import FORMATS, Grid, Sheet, filled
from orchestrator.report.table import RowColumn, Table
from orchestrator.tables import Cell, Layout

INSIDE, OUTSIDE, NOT_COMPARABLE = "inside", "outside", "not comparable"
LEVEL = 0.95

Settings = Callable[[Cell], str | None]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is to be said of one published number, in the unit of its table.

    Attributes:
        published: as it is printed. best, final: measured, None where nothing is.
        n: seeds. low, high: where one more seed would fall. verdict: one of the three.
        why: why it is not comparable. note: where the paper contradicts itself.
    """

    table: str
    row: str
    column: str
    published: str
    best: float | None
    final: float | None
    n: int
    low: float | None
    high: float | None
    verdict: str
    why: str | None
    note: str | None


def verdicts(layout: Layout, best: Table, final: Table, settings: Settings) -> list[Verdict]:
    """Return the verdicts on the published numbers whose cells a study has.

    Args:
        best, final: the study's table under both protocols.
        settings: says why trials of a cell are not trained as the published ones were, None where they are.
    """
    found = []
    for cell in _published(layout, best.cells):
        place = cell.row, cell.column
        values = best.cells[place]
        number, other = best.numbers[place], final.numbers[place]
        why = _beforehand(cell, [v.source for v in values], [v.missing for v in values], settings)
        why = why or _measured(number)
        low, high = (None, None) if why else _bounds(number)
        verdict = NOT_COMPARABLE
        if low is not None and high is not None and cell.paper is not None:
            verdict = INSIDE if low <= cell.paper <= high else OUTSIDE
        published = cell.printed or f"{cell.paper:.2f}"
        shown = other.mean if number.protocol else None
        found.append(
            Verdict(
                layout.name,
                *place,
                published,
                number.mean,
                shown,
                number.n,
                low,
                high,
                verdict,
                why,
                cell.note,
            )
        )
    return found


def foreseen(layout: Layout, slots: Iterable[Slot], seeds: int, settings: Settings) -> dict[str, int]:
    """Return how many published numbers will not be comparable, by why; under ``""`` those that will be."""
    cells: dict[RowColumn, list[Slot]] = {}
    for slot in slots:
        if slot.table == layout.name:
            cells.setdefault((slot.row, slot.column), []).append(slot)
    counts: dict[str, int] = {}
    for cell in _published(layout, cells):
        mine = cells[cell.row, cell.column]
        sources = [slot.trial.source for slot in mine if slot.trial]
        why = _beforehand(cell, sources, [slot.missing for slot in mine], settings)
        if why is None and cell.quantity == ACCURACY and seeds < 2:
            why = ONE_SEED
        counts[why or ""] = counts.get(why or "", 0) + 1
    return counts


ONE_SEED = "one seed says nothing of where another would fall"


def _published(layout: Layout, places: Mapping[RowColumn, object]) -> list[Cell]:
    return [c for c in layout.cells() if c.paper is not None and (c.row, c.column) in places]


def _beforehand(
    cell: Cell, sources: Sequence[str | None], missing: Sequence[str | None], settings: Settings
) -> str | None:
    """Return why a number will not be comparable whatever is measured."""
    reason = next((m for m in missing if m), None)
    if reason is not None:
        return reason
    if "simulated" in sources:
        return "simulated features"
    if not cell.comparable:
        return (
            "another device and batch size"
            if cell.quantity.startswith("fps")
            else "other texts, or another protocol; see the note of the table"
        )
    return settings(cell) if cell.quantity == ACCURACY else None


def _measured(number: Number) -> str | None:
    """Return why a number cannot be compared after what was measured."""
    if number.mean is None:
        return number.missing
    if number.n < number.expected:
        return f"{number.n} of {number.expected} seeds are measured"
    return ONE_SEED if number.quantity == ACCURACY and number.n < 2 else None


def _bounds(number: Number) -> tuple[float, float]:
    """Return where one more seed would fall, and never less than how the paper rounds."""
    assert number.mean is not None
    half = 0.005
    if number.std is not None:
        from scipy.stats import t

        half += float(t.ppf((1 + LEVEL) / 2, number.n - 1)) * number.std * math.sqrt(1 + 1 / number.n)
    return number.mean - half, number.mean + half


def counts(found: Sequence[Verdict]) -> dict[str, int]:
    """Return how often each verdict was given."""
    return {name: sum(v.verdict == name for v in found) for name in (INSIDE, OUTSIDE, NOT_COMPARABLE)}


def exit_code(found: Sequence[Verdict]) -> int:
    """Return 0 where everything that compares is inside, 4 where something is outside, 5 where nothing compares."""
    number = counts(found)
    return 4 if number[OUTSIDE] else 0 if number[INSIDE] else 5


def summary(found: Sequence[Verdict]) -> str:
    """Return the verdicts in one line."""
    number = counts(found)
    published = "1 published number" if len(found) == 1 else f"{len(found)} published numbers"
    return f"{published}: {', '.join(f'{count} {name}' for name, count in number.items())}"


def show(found: Sequence[Verdict], study: str, style: str) -> str:
    """Return the verdicts as ``rich``, ``md``, ``latex``, ``html``, ``csv`` or ``json``."""
    if style == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in dataclasses.fields(Verdict)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({n: "" if x is None else x for n, x in dataclasses.asdict(v).items()} for v in found)
        return out.getvalue()
    if style == "json":
        about = {"study": study, "counts": counts(found), "verdicts": [dataclasses.asdict(v) for v in found]}
        return json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    return FORMATS[style](_sheet(found, study))


def _sheet(found: Sequence[Verdict], study: str) -> Sheet:
    simulated = any(v.why == "simulated features" for v in found)
    lines = [
        *([SIMULATED] if simulated else []),
        summary(found),
        "best: measured under the protocol of the published numbers, the best epoch on the unseen test classes; "
        "final: the last epoch, chosen by nothing",
        "one more seed: 95 % prediction interval over the measured seeds, on the same test samples; with few seeds it "
        "is wide, and a number inside it is not thereby confirmed",
        *dict.fromkeys(f"{v.row}, {v.column}: {v.note}" for v in found if v.note),
    ]
    title = f"Published numbers against study {study}{' (simulated)' if simulated else ''}"
    return Sheet(title, (_grid(found),) if found else (), tuple(lines), simulated)


def _grid(found: Sequence[Verdict]) -> Grid:
    head = ["table", "row", "column", "published", "best", "final", "n", "one more seed", "verdict", "why"]
    rows = [
        [
            v.table,
            v.row,
            v.column,
            v.published,
            _text(v.best),
            _text(v.final),
            str(v.n) if v.n else "",
            "" if v.low is None else f"[{v.low:.2f}, {v.high:.2f}]",
            v.verdict,
            v.why or "",
        ]
        for v in found
    ]
    return filled([head, *rows])


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
