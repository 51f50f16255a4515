"""Checking prepared skeletons: arrays, labels and names that fit each other, and what recordings had."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from dvta.errors import DataError
from dvta.skeleton.arrays import label_path, open_positions, read_labels
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.splits import read_names

_BLOCK = 256  # samples looked at at once


@dataclasses.dataclass(frozen=True)
class Checked:
    """Samples by part, and how many samples have each problem: in the arrays, and as counted in preparing."""

    samples: dict[str, int]
    problems: dict[str, int]


def check_prepared(folder: Path) -> Checked:
    """Read all arrays of one folder of prepared skeletons.

    Raises:
        DataError: a file is missing or malformed, or positions, labels and names do not fit each other.
    """
    samples: dict[str, int] = {}
    problems = dict(_counted(folder / "about.json"))
    for path in sorted(folder.glob("*_position.npy")):
        part = path.name.removesuffix("_position.npy")
        positions = open_positions(path)
        read_labels(label_path(folder, part), len(positions))
        if (names := folder / f"{part}_name.txt").is_file():
            read_names(names, len(positions))
        samples[part] = len(positions)
        for start in range(0, len(positions), _BLOCK):
            block = np.asarray(positions[start : start + _BLOCK])
            if not np.isfinite(block).all():
                raise SkeletonError(path, f"samples {start} to {start + len(block) - 1}: not finite")
            still = int((np.ptp(block, axis=2).max((1, 2, 3)) == 0).sum())
            if still:
                problems["nothing moves"] = problems.get("nothing moves", 0) + still
    return Checked(samples, problems)


def _counted(path: Path) -> dict[str, int]:
    """Return the problems counted when the folder was prepared; other folders have no note of them."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("problems", {})
        return {str(key): int(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: no readable note of a preparation ({error})") from error
