"""Feature folders: which files they have, and whether the arrays in them fit each other and their split."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dvta.arrays import read_digested
from dvta.datasets import Dataset, Split
from dvta.errors import DataChangedError, DataError

FILES = ("train", "train_label", "ztest", "z_label", "gtest", "g_label")
RENAMED = {"ztest": "test", "z_label": "test_label"}  # DVTA's own file names
OPTIONAL = {"gtest", "g_label"}
SAMPLES = {"train", "ztest", "gtest"}


def file_names(name: str, needs: frozenset[str]) -> tuple[str, ...]:
    """Return the files an array may have, SynSE's name first; un-pooled samples have their own."""
    if "unpooled" in needs and name in SAMPLES:
        return (f"{name}_unpooled",)
    return (name, RENAMED[name]) if name in RENAMED else (name,)


#: what a feature folder may hold, without ``.npy``
ALL_FILES = frozenset(
    {
        "train_masked",
        *(f for n in FILES for needs in ((), ("unpooled",)) for f in file_names(n, frozenset(needs))),
    }
)


def has_any(folder: Path) -> bool:
    """Whether a folder has any feature file, whatever a method needs."""
    return any((folder / f"{name}.npy").is_file() for name in ALL_FILES)


def present_files(folder: Path, needs: frozenset[str] = frozenset()) -> dict[str, Path]:
    """Return the feature files of a folder by array."""
    found = {}
    for name in FILES:
        paths = (folder / f"{file}.npy" for file in file_names(name, needs))
        path = next((p for p in paths if p.is_file()), None)
        if path is not None:
            found[name] = path
    # test samples of all classes come with their labels or not at all
    if "unpooled" in needs and "gtest" not in found:
        found.pop("g_label", None)
    if "masked" in needs and (folder / "train_masked.npy").is_file():
        found["train_masked"] = folder / "train_masked.npy"
    return found


def _read(path: Path) -> tuple[np.ndarray, str]:
    if path.stem.endswith("label"):
        return read_digested(path, "int", 1)
    return read_digested(path, "float", 3 if path.stem == "train_masked" else (2, 4))


def read_arrays(
    folder: Path,
    dataset: Dataset,
    split: Split,
    needs: frozenset[str] = frozenset(),
    digests: Mapping[str, str] = types.MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Read and check the arrays of a feature folder.

    Args:
        digests: file name without ``.npy`` -> the SHA-256 hex that the file must have; others may have any.

    Raises:
        DataError: one is missing or malformed, or they contradict each other, their dataset or their split.
        DataChangedError: a file's content is another.
    """
    paths = present_files(folder, needs)
    missing = [file_names(name, needs)[0] for name in FILES[:4] if name not in paths]
    if missing:
        raise DataError(f"{folder}: missing {', '.join(f'{name}.npy' for name in missing)}")
    arrays = {}
    for name, path in paths.items():
        arrays[name], found = _read(path)
        if digests.get(path.stem, found) != found:
            raise DataChangedError(path, digests[path.stem], found)
    check_arrays(arrays, {name: str(path) for name, path in paths.items()}, dataset, split)
    return arrays


def check_arrays(
    arrays: Mapping[str, np.ndarray], names: Mapping[str, str], dataset: Dataset, split: Split
) -> None:
    """Refuse arrays that contradict each other, their dataset or their split.

    Args:
        arrays: ``train``, ``train_label``, ``ztest``, ``z_label``, and what else a feature folder has.
        names: what the message calls each array: its file.

    Raises:
        DataError: they do.
    """
    pairs = (("train", "train_label"), ("ztest", "z_label"), ("gtest", "g_label"))
    shape = arrays["train"].shape[1:]
    for name, label in pairs:
        if (name in arrays) != (label in arrays):
            there = names[name if name in arrays else label]
            raise DataError(f"{there}: {name}.npy and {label}.npy come together, one of them is missing")
        if name not in arrays:
            continue
        x, y = arrays[name], arrays[label]
        if len(x) != len(y):
            raise DataError(f"{names[label]}: {len(y)} labels for {len(x)} rows of {Path(names[name]).name}")
        if len(x) == 0:
            raise DataError(f"{names[name]}: has no rows")
        if x.shape[1:] != shape:
            raise DataError(f"{names[name]}: rows of shape {x.shape[1:]}, allowed: {shape} as in train.npy")
        if y.min() < 0 or y.max() >= len(dataset.class_names):
            raise DataError(
                f"{names[label]}: label {int(y.max() if y.min() >= 0 else y.min())}, "
                f"allowed: 0 to {len(dataset.class_names) - 1} ({dataset.name})"
            )
    masked = arrays.get("train_masked")
    if masked is not None and (len(masked), masked.shape[2]) != arrays["train"].shape:
        raise DataError(f"{names['train_masked']}: shape {masked.shape} does not fit {arrays['train'].shape}")
    for label, allowed, kind in (("train_label", split.seen, "seen"), ("z_label", split.unseen, "unseen")):
        wrong = sorted(set(np.unique(arrays[label]).tolist()) - set(allowed))
        if wrong:
            raise DataError(
                f"{names[label]}: class {wrong[0]} ({dataset.class_names[wrong[0]]}) is not {kind} "
                f"in split {split.name}; is this another split's file?"
            )


def feature_folder(root: Path, dataset: str, visual: str, split: str) -> Path:
    """Return where the features of a split lie under a data root."""
    return root / dataset / "features" / visual / split.replace("/", "-")
