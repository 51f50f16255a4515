"""Describing a new data set from what a person has: a folder of recordings, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvta.errors import DataError, did_you_mean
from dvta.texts import CLIP_COLUMNS, like_recording, plain, read_clips, read_rows, read_table

COLUMNS = {"class": "class_names", "context": "contexts", "verb": "verbs", "noun": "nouns"}


def describe(path: Path) -> dict[str, Any]:
    """Return class names, and contexts, verbs and nouns where there are any, as ``dataset.yaml`` holds them.

    Args:
        path: a folder whose subfolders are classes; a table with the column ``class`` and any of
            ``context``, ``verb`` and ``noun``, a row a class; or a table of ``clip,class`` with a row a
            recording, whose classes are taken in their order.

    Raises:
        DataError: it is neither; the message names the file and the line.
    """
    if path.is_dir():
        return {"class_names": _of_folder(path)}
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise DataError(f"{path}: allowed: a folder of a subfolder a class, or a .csv table")
    first = [plain(cell) for _, cells in read_rows(path)[:1] for cell in cells if cell]
    if first and (first[0] in CLIP_COLUMNS or (len(first) == 2 and "class" not in first)):
        return {"class_names": _of_clips(path)}
    columns, rows = read_table(path)
    for column in columns:
        if column not in COLUMNS:
            raise DataError(
                f"{path}: unknown column {column!r}{did_you_mean(column, COLUMNS)}; allowed: {', '.join(COLUMNS)}, "
                "or clip,class"
            )
    if "class" not in columns:
        raise DataError(f"{path}: has no column class; it has {', '.join(columns)}")
    for number, row in rows:
        empty = [c for c in columns if not row[c]]
        if empty:
            raise DataError(f"{path}, line {number}: {empty[0]} is empty")
    return {COLUMNS[column]: [row[column] for _, row in rows] for column in columns}


def _of_folder(path: Path) -> list[str]:
    """Return the subfolders that hold anything, with blanks for underscores, in alphabetical order."""
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    names = [" ".join(p.name.replace("_", " ").split()) for p in folders if any(p.iterdir())]
    if not names:
        raise DataError(f"{path}: has no subfolders with recordings; a subfolder a class is expected")
    return names


def _of_clips(path: Path) -> list[str]:
    """Return the classes of a table of recordings, in the order in which they come."""
    names: dict[str, None] = {}
    clips = read_clips(path)
    for number, _, name in clips:
        if name.isdecimal():
            raise DataError(
                f"{path}, line {number}: class {name} is an id and tells no name; give a table of classes, or a folder"
            )
        names[name] = None
    headed = clips[0][0] > read_rows(path)[0][0]
    # a context has more words than its class
    if not headed and all(
        not like_recording(clip) and len(name.split()) > len(clip.split()) for _, clip, name in clips
    ):
        raise DataError(
            f"{path}, line {clips[0][0]}: no heading, so these are recordings with their class, or classes with a text; "
            "write clip,class or class,context above"
        )
    return list(names)


def parse_splits(texts: Mapping[str, str]) -> dict[str, list[str | int]]:
    """Return ``NAME=CLASS,CLASS`` as a split's unseen classes; whole numbers are ids."""
    return {
        name: [int(c) if c.isdecimal() else c for c in (part.strip() for part in text.split(",")) if c]
        for name, text in texts.items()
    }
