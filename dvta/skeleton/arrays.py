"""Skeletons as arrays: position files, CTR-GCN archives, label files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvta import labels
from dvta.arrays import header
from dvta.errors import DataError
from dvta.skeleton.lines import SkeletonError


def open_positions(path: Path | str) -> np.ndarray:
    """Map a position file, (N, 3, T, 25, M) of any float type with M one or two; nothing is read yet.

    Raises:
        DataError: the file is missing, holds objects, contradicts its header or has another shape.
    """
    path = Path(path)
    shape, dtype = header(path)
    if len(shape) != 5 or shape[1] != 3 or shape[3] != 25 or shape[4] not in (1, 2) or shape[2] < 1:
        raise SkeletonError(path, f"shape {shape}, allowed: (samples, 3, frames, 25, 1 or 2)")
    if dtype.kind != "f":
        raise SkeletonError(path, f"holds {dtype}, allowed: floating numbers")
    if shape[0] == 0:
        return np.zeros(shape, dtype)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise SkeletonError(path, f"cannot be mapped: {error}") from error


def label_path(folder: Path, part: str) -> Path:
    """Return the label file of a part of prepared skeletons: a pickle where there is one, as SMIE has it."""
    pickled = folder / f"{part}_label.pkl"
    return pickled if pickled.is_file() else folder / f"{part}_label.npy"


def read_labels(path: Path | str, samples: int, classes: int | None = None) -> np.ndarray:
    """Read class ids from 0, (N,) int64, of a ``.npy`` file or a ``.pkl`` of (names, labels).

    Raises:
        DataError: the file is missing or unsafe, has another length, or an id is out of range.
    """
    path = Path(path)
    try:
        found = labels.read_labels(path)
    except DataError as error:
        raise SkeletonError(path, str(error).removeprefix(f"{path}: ")) from error
    if found.shape != (samples,):
        raise SkeletonError(path, f"labels of shape {found.shape} for {samples} samples")
    try:
        labels.check_range(str(path), found, 2**31 if classes is None else classes)
    except DataError as error:
        raise SkeletonError(path, str(error).removeprefix(f"{path}: ")) from error
    return found
