"""Datasets made of clips cut into windows: which class a CMU clip has, and which clips are test."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np

from dvta.errors import DataError
from dvta.skeleton.lines import SkeletonError


@functools.cache
def cmu_classes() -> dict[str, int]:
    """Return the class id of each of the 261 CMU clips in the benchmark, by name (``09_01``)."""
    table = json.loads(files(__package__).joinpath("cmu_clips.json").read_text(encoding="utf-8"))
    return {clip: int(label) for label, clips in table.items() for clip in clips}


def read_clip_classes(path: Path | str) -> dict[str, int]:
    """Read a user's own table, one ``clip,class id`` a line (no header, names without ending).

    Raises:
        SkeletonError: the file is missing or malformed, or a clip stands twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SkeletonError(path, f"cannot be read: {error}") from error
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        clip, comma, label = (part.strip() for part in line.partition(","))
        if not line.strip():
            continue
        if not comma or not label.isdecimal() or len(label) > 6 or clip in found:
            raise SkeletonError(path, f"expected a new clip,class id; found {line[:60]!r}", number)
        found[clip] = int(label)
    return found


def part_by_clip(clips: np.ndarray, labels: np.ndarray, seen: Iterable[int]) -> np.ndarray:
    """Part the windows of seen classes by clip: True for test, (N,) bool.

    For each seen class in ascending order its clips, sorted by name, are permuted by one generator
    seeded with 0; the first quarter, rounded down and at least one, is test. A class of a single clip
    has no test clip. This is the parting of the published CMU features.

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
