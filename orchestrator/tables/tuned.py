"""What the rows of a search's winners are called, and which repeat of the search a row is of."""

from __future__ import annotations

import functools
import re

_TUNED = re.compile(r"^(?P<label>.* tuned(?: on the test classes)?)(?: \(repeat (?P<repeat>\d+)\))?$")


def tuned_row(cell: str, *, on_test: bool, repeat: int | None = None) -> str:
    """Return the row of the winners of a cell's search; ``repeat`` counts from 1."""
    row = f"{cell} tuned{' on the test classes' if on_test else ''}"
    return row if repeat is None else f"{row} (repeat {repeat})"


def is_tuned(row: str) -> bool:
    """Return whether a row holds winners of a search, trained again."""
    return _TUNED.match(row) is not None


@functools.lru_cache(1024)  # a study has few rows and many trials
def repeat_of(row: str) -> int | None:
    """Return which repeat of a search a row is of, None where the search was not repeated."""
    found = _TUNED.match(row)
    return int(found["repeat"]) if found and found["repeat"] else None


@functools.lru_cache(1024)
def shown_row(row: str) -> str:
    """Return the row of a table in which all repeats of a search stand together."""
    found = _TUNED.match(row)
    return found["label"] if found else row
