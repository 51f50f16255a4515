"""Datasets made of clips cut into windows: which class a CMU clip has, and which clips are test."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from dvta.errors import DataError, did_you_mean
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.motion import ENDINGS
from dvta.texts import plain, read_clips


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
        DataError: the file is missing or malformed, a clip stands twice, or a class is unknown; names the line.
    """
    found: dict[str, int] = {}
    for number, name, text in read_clips(path, lambda text: _class_id(text, class_names) is not None):
        clip, label = bare_name(name), _class_id(text, class_names)
        if label is None:
            raise SkeletonError(path, _unknown_class(text, class_names), number)
        if clip in found:
            raise SkeletonError(path, f"clip {clip!r} stands twice", number)
        found[clip] = label
    _check_base(path, found, class_names)
    return found


def bare_name(name: str) -> str:
    """Return a clip's name or path without the ending of a recording, parted by ``/``."""
    stem, dot, ending = name.strip().replace("\\", "/").removeprefix("./").rpartition(".")
    return stem if dot and f".{ending.lower()}" in ENDINGS else f"{stem}{dot}{ending}"


def _class_id(text: str, class_names: Sequence[str] | None) -> int | None:
    whole = text.removesuffix(".0")
    if whole.isascii() and whole.isdecimal() and len(whole) <= 6:
        return int(whole)
    names = [plain(name) for name in class_names or ()]
    return names.index(plain(text)) if plain(text) in names else None


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
