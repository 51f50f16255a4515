"""Skeletons as arrays: position files, CTR-GCN archives, label files."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dvta.arrays import header, read
from dvta.errors import DataError
from dvta.skeleton.lines import SkeletonError

_MAX_PICKLE_BYTES = 1 << 26


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


def read_labels(path: Path | str, samples: int, classes: int | None = None) -> np.ndarray:
    """Read class ids from 0, (N,) int64, of a ``.npy`` file ((N,) or (N, 1)) or a ``.pkl`` of (names, labels).

    Raises:
        DataError: the file is missing or unsafe, has another length, or an id is out of range.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        labels = np.array(_plain_pickle(path), dtype=np.int64)
    else:
        labels = read(path, "int", (1, 2))
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (samples,):
        raise SkeletonError(path, f"labels of shape {labels.shape} for {samples} samples")
    if samples and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        wrong = int(labels.min() if labels.min() < 0 else labels.max())
        most = "" if classes is None else f" to {classes - 1}"
        raise SkeletonError(path, f"label {wrong}, allowed: 0{most}")
    return labels


class _Plain(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Loads tuples, lists, texts and numbers; any global, and so any code, is refused.

    The Python implementation: the C one allocates gigabytes for a single large memo number.
    """

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(
            f"it wants to load {module}.{name}; only lists of names and numbers are allowed"
        )


def _plain_pickle(path: Path) -> list[int]:
    """Return the labels of a pickled (names, labels)."""
    try:
        size = path.stat().st_size
        if size > _MAX_PICKLE_BYTES:
            raise SkeletonError(path, f"{size} bytes are too many for a label file")
        content = _Plain(io.BytesIO(path.read_bytes())).load()
    except DataError:
        raise
    except Exception as error:  # a mangled pickle raises almost anything
        raise SkeletonError(path, f"not a safe label pickle ({error})") from error
    if not (isinstance(content, tuple | list) and len(content) == 2 and isinstance(content[1], Iterable)):
        raise SkeletonError(path, "expected a pickle of (names, labels)")
    labels = list(content[1])
    if not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise SkeletonError(path, "expected a pickle of (names, labels) with whole numbers as labels")
    return labels
