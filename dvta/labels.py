"""Class ids of samples as people write them: other shapes, other types, counted from one, or names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dvta.arrays import NAMES, NUMBERS, load
from dvta.errors import DataError, did_you_mean
from dvta.pickles import read_pickle
from dvta.texts import plain, read_text

ENDINGS = (".npy", ".pkl", ".pickle", ".txt", ".csv")


def read_labels(path: Path, names: Sequence[str] = ()) -> np.ndarray:
    """Read class ids, (N,) int64, as they are: they may count from one.

    Args:
        path: as :func:`raw_labels` reads them. names: the class names, where labels may be names.

    Raises:
        DataError: the file is missing or unsafe, or holds no labels.
    """
    return as_ids(str(path), raw_labels(path), names)


def raw_labels(path: Path) -> np.ndarray:
    """Read labels in any form: numbers or text.

    Args:
        path: ``.npy``; ``.pkl`` of labels, or of (sample names, labels); ``.txt`` or ``.csv`` with a label a line.

    Raises:
        DataError: the file is missing or unsafe, or holds no labels.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(f"{path}: labels come in a file that ends in {', '.join(ENDINGS)}")
    if ending == ".npy":
        return load(path, NUMBERS + NAMES)
    if ending in (".txt", ".csv"):
        return np.array([line.strip().strip('"') for line in read_text(path).splitlines() if line.strip()])
    return _of_pickle(path)


def _of_pickle(path: Path) -> np.ndarray:
    content = read_pickle(path, what="label pickle")
    if (
        isinstance(content, tuple | list)
        and len(content) == 2
        and isinstance(content[1], list | tuple | np.ndarray)
    ):
        samples, content = content
        if isinstance(samples, list | tuple | np.ndarray) and len(samples) != len(content):
            raise DataError(
                f"{path}: {len(samples)} names for {len(content)} labels; one for each is expected"
            )
    if isinstance(content, list | tuple):
        kinds = {type(value) for value in content}
        if not kinds <= {int, float} and kinds != {str}:
            raise DataError(f"{path}: expected a pickle of (names, labels) with whole numbers as labels")
        if any(isinstance(value, int) and abs(value) >= 2**62 for value in content):
            raise DataError(f"{path}: expected a pickle of (names, labels) with whole numbers as labels")
        content = np.array(content)
    if not isinstance(content, np.ndarray):
        raise DataError(f"{path}: expected a pickle of (names, labels)")
    return content


def as_ids(place: str, labels: np.ndarray, names: Sequence[str] = ()) -> np.ndarray:
    """Return labels as (N,) int64.

    Known are (N,), (N, 1) and one-hot (N, C); whole numbers of any type, numbers written as text, and class names.

    Raises:
        DataError: they are something else; the message begins with ``place``.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.dtype.kind in "biuf" and len(labels):
        if not (((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()):
            raise DataError(f"{place}: shape {labels.shape}, which is neither (N,), (N, 1) nor one-hot")
        if names and labels.shape[1] != len(names):
            raise DataError(
                f"{place}: one-hot of {labels.shape[1]} classes for a data set of {len(names)}; "
                f"allowed: {len(names)} columns, or ids"
            )
        labels = labels.argmax(1)
    if labels.ndim != 1:
        raise DataError(f"{place}: shape {labels.shape}, allowed: (N,), (N, 1) or one-hot (N, classes)")
    if labels.dtype.kind == "U":
        return _named(place, labels, names)
    if labels.dtype.kind not in "iuf":
        raise DataError(f"{place}: holds {labels.dtype}, allowed: whole numbers or class names")
    if labels.dtype.kind == "f":
        wrong = ~np.isfinite(labels) | (labels != np.trunc(labels)) | (np.abs(labels) >= 2**53)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(f"{place}: row {row}: label {labels[row]} is no whole number")
    if labels.dtype.kind == "u" and len(labels) and labels.max() >= 2**62:
        raise DataError(f"{place}: label {labels.max()} is impossible")
    return labels.astype(np.int64)


def _named(place: str, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    texts = [
        label
        for label in labels.tolist()
        if not label.strip().removeprefix("-").isdecimal() or len(label) >= 18
    ]
    if not texts:
        return np.array([int(label) for label in labels.tolist()], np.int64)
    if not names:
        raise DataError(f"{place}: expected whole numbers as labels, found {texts[0][:80]!r}")
    known = {plain(name): c for c, name in enumerate(names)}
    found = []
    for row, label in enumerate(labels.tolist()):
        class_id = known.get(plain(label))
        if class_id is None:
            raise DataError(
                f"{place}: row {row}: {label[:80]!r} is no class{did_you_mean(label[:80], names)}; "
                f"allowed: ids or names of the {len(names)} classes"
            )
        found.append(class_id)
    return np.array(found, np.int64)


def check_range(place: str, labels: np.ndarray, classes: int) -> None:
    """Refuse ids outside 0 to ``classes`` - 1.

    Raises:
        DataError: an id is; the message says where ids that count from one are likely.
    """
    if not len(labels) or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = int(labels.min() if labels.min() < 0 else labels.max())
    hint = "; they seem to count from 1" if labels.min() >= 1 and labels.max() == classes else ""
    raise DataError(f"{place}: label {wrong}, allowed: 0 to {classes - 1}{hint}")
