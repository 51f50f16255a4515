"""The leaderboard of 2026: Table 1's methods and those after them, zero-shot and generalised, by one protocol."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.tables.layouts import Cell

TITLE = "Leaderboard of 2026, SynSE setting"
#: column -> result; the first two have published numbers
QUANTITIES = {
    "ZSL": "accuracy",
    "gate H": "gzsl_harmonic",
    "stacking H": "gzsl_stacking_harmonic",
    "AUSUC": "gzsl_ausuc",
}
PRINTED = {"ZSL": "zsl", "gate H": "harmonic"}


@functools.lru_cache
def _rows() -> tuple[dict[str, Any], ...]:
    text = files(__package__).joinpath("leaderboard.json").read_text(encoding="utf-8")
    return tuple(json.loads(text)["rows"])


#: the shipped methods that the paper does not have; other tables show them only where they are asked for
NEWER = frozenset(row["method"] for row in _rows())


def leaderboard(table1: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells of every method: four quantities of the same trials on each split of Table 1."""
    like = [cell for cell in table1 if cell.row == "DVTA"]
    newer = [
        dataclasses.replace(
            cell,
            row=row["row"],
            configs=tuple(
                {k: v for k, v in c.items() if k != "sde"} | {"method": row["method"]} for c in cell.configs
            ),
            paper=row["zsl"].get(cell.column),
            printed=None,
            note=None,
            # other text features, and chosen on test classes
            comparable=False,
        )
        for row in _rows()
        for cell in like
    ]
    harmonic = {(row["row"], column): value for row in _rows() for column, value in row["harmonic"].items()}
    return tuple(
        dataclasses.replace(
            cell,
            column=f"{cell.column} {what}",
            configs=tuple({**c, "evaluate_on": "gzsl"} for c in cell.configs),
            paper=cell.paper
            if what == "ZSL"
            else harmonic.get((cell.row, cell.column))
            if what == "gate H"
            else None,
            quantity=quantity,
        )
        for cell in (*table1, *newer)
        for what, quantity in QUANTITIES.items()
    )


def note() -> str:
    """Return where the published numbers are from and by which protocol."""
    lines = [f"{row['row']}: {row['source']} ({row['protocol']})" for row in _rows()]
    return (
        "Not a table of the paper. ZSL, gate, stacking (factor from validation classes) and AUSUC are of the same "
        "trials. Published numbers of the rows down to DVTA: Table 1 of the DVTA paper; "
        + "; ".join(lines)
        + "; none of these may be subtracted."
    )
