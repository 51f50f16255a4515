"""Joint positions with their classes, from pyskl's pickles and from NTU's recordings kept as mappings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvta.datasets import Dataset
from dvta.errors import DataError
from dvta.limits import limits
from dvta.pickles import read_pickle
from dvta.skeleton.ntu import PROTOCOLS, NtuName
from dvta.skeleton.sequences import as_recording, read_sequences
from dvta.skeleton.splits import CLIPS


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Joint positions with their classes.

    Attributes:
        place: file and array, for messages.
        rows: gives (M, T, V, C) positions one by one.
        labels: (N,) class ids. names: of the recordings.
    """

    place: str
    rows: Callable[[], Iterator[np.ndarray]]
    labels: np.ndarray
    names: Sequence[str]


def read_pyskl(path: Path, known: Dataset, protocol: str | None) -> dict[str, Recordings]:
    """Return the parts of a pyskl ``.pkl``: ``annotations`` with ``keypoint`` (M, T, V, C), and their ``split``.

    A recording that stands twice, alike in all, counts once.

    Raises:
        DataError: the file is unsafe, has another form, or contradicts itself.
    """
    content = read_pickle(path, limits().max_array_bytes, "pyskl pickle")
    if isinstance(content, list):
        content = {"annotations": content}
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise DataError(f"{path}: expected annotations (and split), as pyskl writes them")
    rows: dict[str, tuple[np.ndarray, int]] = {}
    for i, entry in enumerate(content["annotations"]):
        name, found = _annotation(f"{path}: annotation {i}", entry)
        known_row = rows.setdefault(name, found)
        if known_row[1] != found[1] or not np.array_equal(known_row[0], found[0]):
            raise DataError(
                f"{path}: annotation {i}: {name[:80]!r} stands twice, with other positions or label"
            )
    chosen = _pyskl_split(path, content.get("split"), protocol, rows)
    return {
        part: Recordings(
            f"{path} {part}",
            lambda names=names: (rows[n][0] for n in names),  # type: ignore[misc]
            np.array([rows[n][1] for n in names], np.int64),
            names,
        )
        for part, names in chosen.items()
    }


def _annotation(place: str, entry: Any) -> tuple[str, tuple[np.ndarray, int]]:
    if not isinstance(entry, dict) or not {"keypoint", "label"} <= entry.keys():
        raise DataError(f"{place}: keypoint and label are expected")
    keypoint, label = entry["keypoint"], entry["label"]
    if not isinstance(keypoint, np.ndarray) or keypoint.ndim != 4 or not isinstance(label, int):
        raise DataError(f"{place}: allowed: keypoint (bodies, frames, joints, 2 or 3) and a whole label")
    if abs(label) >= 2**62:
        raise DataError(f"{place}: a label of {label.bit_length()} bits; allowed: a class id")
    name = entry.get("frame_dir", place)
    if not isinstance(name, str):
        raise DataError(f"{place}: frame_dir {str(name)[:80]} is no text")
    return name, (as_recording(place, keypoint), label)


def _pyskl_split(
    path: Path, split: Any, protocol: str | None, rows: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the names of each part's recordings; all of them are clips where there is no split."""
    if not isinstance(split, dict) or not split:
        return {CLIPS: list(rows)}
    if not all(isinstance(name, str) for name in split):
        raise DataError(
            f"{path}: split: {', '.join(map(str, split))[:80]}; allowed: names such as xsub_train"
        )
    known = sorted({name.rpartition("_")[0] for name in split if name.endswith(("_train", "train"))})
    wanted = protocol or ("xsub" if "xsub" in known else known[0] if len(known) == 1 else None)
    if wanted is None or wanted not in known:
        raise DataError(
            f"{path}: give --protocol; allowed: {', '.join(known) or 'none'} (of {', '.join(split)})"
        )
    prefix = f"{wanted}_" if wanted else ""
    chosen = {}
    for part, endings in (("train", ("train",)), ("test", ("val", "test"))):
        key = next((f"{prefix}{e}" for e in endings if f"{prefix}{e}" in split), None)
        names = split.get(key)
        if not isinstance(names, list):
            raise DataError(f"{path}: split {key or part}: names of annotations are expected")
        wrong = next((n for n in names if not isinstance(n, str) or n not in rows), None)
        if wrong is not None:
            raise DataError(f"{path}: split {key}: {str(wrong)[:80]!r} is the name of no annotation")
        chosen[part] = names
    return chosen


def read_ntu_files(files: Sequence[Path], known: Dataset, protocol: str) -> dict[str, Recordings]:
    """Return the parts of NTU's ``.skeleton.npy`` files by their names."""
    if known.name not in PROTOCOLS:
        raise DataError(f"--dataset {known.name}: allowed for NTU's recordings: {', '.join(PROTOCOLS)}")
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for file in files:
        name = NtuName.parse(file)
        parts["train" if name.trains(known.name, protocol) else "test"].append((file, name.label))
    for part, found in parts.items():
        if not found:
            raise DataError(f"{files[0].parent}: no {part} recordings of {known.name} by {protocol}")
    return {
        part: Recordings(
            str(found[0][0].parent),
            lambda found=found: (read_sequences(f)[0] for f, _ in found),  # type: ignore[misc]
            np.array([label for _, label in found], np.int64),
            [f.name.partition(".")[0] for f, _ in found],
        )
        for part, found in parts.items()
    }
