"""The catalogue: class names, contexts, verbs and nouns, and splits of every dataset."""

from __future__ import annotations

import dataclasses
import functools
from importlib.resources import files
from pathlib import Path

import numpy as np

from dvta.datasets import own
from dvta.datasets.dataset import PARTS, Dataset, Split
from dvta.errors import UnknownNameError, did_you_mean
from dvta.registry import Registry

__all__ = [
    "DATASETS",
    "PACKAGED_TEXT",
    "PARTS",
    "SHIPPED",
    "Dataset",
    "Split",
    "get",
    "names",
    "packaged_text",
]

SHIPPED = ("ntu60", "ntu120", "pku", "cmu")
PACKAGED_TEXT = "all-MiniLM-L6-v2"


DATASETS: Registry[Dataset] = Registry("dataset", "dvta.datasets", of=Dataset)


def get(name: str, root: Path | None = None) -> Dataset:
    """Return a dataset: shipped, described under a data root, registered, or by dotted path.

    Args:
        root: the data root, whose ``<name>/dataset.yaml`` describe data sets of one's own.

    Raises:
        UnknownNameError: there is none of that name.
        DataError: the description is wrong.
    """
    if name in SHIPPED:
        return _shipped(name)
    found = own.find(root, name) if root is not None else None
    if found is not None:
        return found
    try:
        return DATASETS.get(name)
    except UnknownNameError:
        known = names(root)
        raise UnknownNameError(
            f"unknown dataset {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
        ) from None


@functools.lru_cache
def _shipped(name: str) -> Dataset:
    found = Dataset.read(name, Path(str(files(__package__) / f"{name}.json")))
    # NTU-60 is the first 60 classes of NTU-120
    return dataclasses.replace(found, parts=_shipped("ntu120").parts[:60]) if name == "ntu60" else found


def names(root: Path | None = None) -> list[str]:
    """Return the names of all known datasets, those described under a data root among them."""
    described = own.names(root) if root is not None else []
    return [*SHIPPED, *(n for n in dict.fromkeys((*described, *DATASETS.names())) if n not in SHIPPED)]


def packaged_text(dataset: Dataset) -> dict[str, np.ndarray] | None:
    """Return the shipped real all-MiniLM-L6-v2 embeddings, (C, 384) float32, or None.

    Keys ``labels``, ``contexts``, ``verbs``, ``nouns``, ``parts``. NTU-60 is the first 60 rows of NTU-120.
    """
    source = "ntu120" if dataset.name == "ntu60" else dataset.name
    if source not in SHIPPED:
        return None
    rows = len(dataset.class_names)
    return {key: array[:rows].astype(np.float32) for key, array in _packaged(source).items()}


@functools.lru_cache
def _packaged(source: str) -> dict[str, np.ndarray]:
    path = Path(str(files(__package__) / f"{source}_{PACKAGED_TEXT}.npz"))
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)
