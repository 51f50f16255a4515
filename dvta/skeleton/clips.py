"""Datasets made of clips cut into windows: which class a CMU clip has, and which clips are test."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from dvta.errors import DataError, did_you_mean
from dvta.limits import open_regular
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import ENDINGS

_MAX_TABLE_BYTES = 1 << 26


@functools.cache
def cmu_classes() -> dict[str, int]:
    """Return the class id of each of the 261 CMU clips in the benchmark, by name (``09_01``)."""
    table = json.loads(files(__package__).joinpath("cmu_clips.json").read_text(encoding="utf-8"))
    return {clip: int(label) for label, clips in table.items() for clip in clips}


def read_clip_classes(path: Path | str, class_names: Sequence[str] | None = None) -> dict[str, int]:
    """Read a table of clips and classes as people and spreadsheets write them.

    One clip a row: its name or path below the folder, with or without ending, and the class as an id from
    0 or as a name; parted by commas, semicolons or tabs; a header and a byte order mark are fine.

    Args:
        path: the table.
        class_names: of the data set, where it is known: names are allowed then, and ids are checked.

    Raises:
        SkeletonError: the file is missing or malformed, a clip stands twice, or a class is unknown; names the line.
    """
    found: dict[str, int] = {}
    rows = _rows(path)
    for place, (number, cells) in enumerate(rows):
        filled = [cell for cell in cells if cell]
        if len(filled) != 2 or not cells[0]:
            raise SkeletonError(
                path, f"expected a clip and its class; found {', '.join(cells)[:60]!r}", number
            )
        label = _class_id(cells[1], class_names)
        if label is None and place == 0 and len(rows) > 1 and _is_header(cells, rows[1][1], class_names):
            continue
        clip = bare_name(cells[0])
        if label is None:
            raise SkeletonError(path, _unknown_class(cells[1], class_names), number)
        if clip in found:
            raise SkeletonError(path, f"clip {clip!r} stands twice", number)
        found[clip] = label
    if not found:
        raise SkeletonError(path, "holds no clip", 1)
    _check_base(path, found, class_names)
    return found


def bare_name(name: str) -> str:
    """Return a clip's name or path without the ending of a recording, parted by ``/``."""
    stem, dot, ending = name.strip().replace("\\", "/").removeprefix("./").rpartition(".")
    return stem if dot and f".{ending.lower()}" in ENDINGS else f"{stem}{dot}{ending}"


def _rows(path: Path | str) -> list[tuple[int, list[str]]]:
    """Return line numbers and cells of the rows that hold something."""
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_TABLE_BYTES + 1)
    except DataError as error:
        raise SkeletonError(path, str(error).removeprefix(f"{path}: ")) from error
    if len(content) > _MAX_TABLE_BYTES:
        raise SkeletonError(path, f"more than {_MAX_TABLE_BYTES:,} bytes are no class table")
    for encoding in ("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            break
    else:
        text = "\0"
    if "\0" in text:
        raise SkeletonError(path, "is no text in UTF-8")
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(";\t,", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise SkeletonError(path, str(error), reader.line_num) from error
    return [(number, cells) for number, cells in rows if any(cells)]


def _class_id(text: str, class_names: Sequence[str] | None) -> int | None:
    whole = text.removesuffix(".0")
    if whole.isascii() and whole.isdecimal() and len(whole) <= 6:
        return int(whole)
    plain = [_plain(name) for name in class_names or ()]
    return plain.index(_plain(text)) if _plain(text) in plain else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _is_header(cells: list[str], following: list[str], class_names: Sequence[str] | None) -> bool:
    named = _plain(cells[1]) in ("class", "class id", "classid", "class name", "label", "id", "action")
    return named or (len(following) > 1 and _class_id(following[1], class_names) is not None)


def _unknown_class(text: str, class_names: Sequence[str] | None) -> str:
    if class_names is None:
        return (
            f"class {text[:40]!r} is no id; names need a data set that is known: make it with "
            "`dvta-orch data new`, or write ids from 0"
        )
    return f"class {text[:40]!r} is unknown{did_you_mean(text, class_names)}; allowed: an id or a name of the data set"


def _check_base(path: Path | str, found: dict[str, int], class_names: Sequence[str] | None) -> None:
    if class_names is None or max(found.values()) < len(class_names):
        return
    clip = max(found, key=lambda name: found[name])
    hint = "; the ids seem to count from 1, take 1 off each" if min(found.values()) > 0 else ""
    raise SkeletonError(
        path, f"clip {clip!r} has class {found[clip]}; allowed: 0 to {len(class_names) - 1}{hint}"
    )


def part_by_clip(clips: np.ndarray, labels: np.ndarray, seen: Iterable[int]) -> np.ndarray:
    """Part the windows of seen classes by clip: True for test, (N,) bool.

    For each seen class in ascending order its clips, sorted by name, are permuted by one generator
    seeded with 0; the first quarter, rounded down and at least one, is test. A class of a single clip
    has no test clip. This is the partition of the published CMU features.

    Args:
        clips: (N,) clip name of each window.
        labels: (N,) class ids.
        seen: the seen class ids; other windows are False.
    """
    generator = np.random.default_rng(0)
    test = np.zeros(len(labels), bool)
    for label in sorted(seen):
        names = sorted(set(clips[labels == label].tolist()))
        order = generator.permutation(len(names))
        if len(names) > 1:
            chosen = [names[i] for i in order[: max(1, len(names) // 4)]]
            test |= (labels == label) & np.isin(clips, chosen)
    return test


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most ``most`` of the rows, evenly spaced, in order."""
    if most < 1:
        raise DataError(f"at most {most} windows a class is impossible; allowed: 1 or more")
    if len(rows) <= most:
        return rows
    return rows[np.floor(np.arange(most) * len(rows) / most).astype(int)]
