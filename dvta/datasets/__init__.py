"""The catalogue: class names, contexts, verbs and nouns, and splits of every dataset."""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dvta.errors import DataError, UnknownNameError, did_you_mean
from dvta.registry import Registry

SHIPPED = ("ntu60", "ntu120", "pku", "cmu")
PACKAGED_TEXT = "all-MiniLM-L6-v2"
PARTS = ("head", "hands", "torso", "legs", "start", "middle", "end", "global")


@dataclasses.dataclass(frozen=True)
class Split:
    """Which classes are unseen; ids are global and ascending.

    ``validation`` are classes held out of the seen ones for tuning: published where there are any
    (SynSE), else drawn once with a fixed seed, as many as there are unseen classes.
    """

    name: str
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    validation: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is known of a dataset without its data; lists are in the order of class ids.

    ``parts`` has eight texts a class: four body parts, three phases and the action, as in PURLS.
    """

    name: str
    class_names: tuple[str, ...]
    contexts: tuple[str, ...]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    splits: dict[str, tuple[int, ...]]
    validation: dict[str, tuple[int, ...]]
    where: str
    parts: tuple[tuple[str, ...], ...] = ()

    def split(self, name: str) -> Split:
        """Return a split by name.

        Raises:
            UnknownNameError: the dataset has no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(
                f"{self.name} has no split {name!r}{did_you_mean(name, self.splits)}; "
                f"allowed: {', '.join(self.splits)}"
            )
        unseen = tuple(sorted(self.splits[name]))
        seen = tuple(c for c in range(len(self.class_names)) if c not in set(unseen))
        validation = self.validation.get(name)
        if validation is None:
            # as many as there are unseen classes, and never more than half of the seen ones
            size = min(len(unseen), len(seen) // 2)
            drawn = np.random.default_rng(0).choice(seen, size=size, replace=False)
            validation = tuple(int(c) for c in drawn)
        return Split(name, seen, unseen, tuple(sorted(validation)))

    @classmethod
    def read(cls, name: str, path: Path) -> Dataset:
        """Read a dataset's JSON description; the shipped ones are examples of the format."""
        values = json.loads(path.read_text(encoding="utf-8"))
        missing = {"class_names", "contexts", "splits"} - values.keys()
        if missing:
            raise DataError(f"{path}: missing {', '.join(sorted(missing))}")
        lists: dict[str, Any] = {
            k: tuple(values.get(k, ())) for k in ("class_names", "contexts", "verbs", "nouns")
        }
        splits: dict[str, Any] = {
            k: {s: tuple(ids) for s, ids in values.get(k, {}).items()} for k in ("splits", "validation")
        }
        described = path.with_name(f"{path.stem}_parts.json")
        parts: tuple[tuple[str, ...], ...] = ()
        if described.is_file():
            by_class = json.loads(described.read_text(encoding="utf-8"))
            # the eighth text is the action itself
            parts = tuple(
                (*(by_class[c][p] for p in PARTS[:-1]), c) for c in lists["class_names"] if c in by_class
            )
            if len(parts) != len(lists["class_names"]):
                raise DataError(f"{described}: {len(parts)} of {len(lists['class_names'])} classes described")
        return cls(name=name, where=values.get("where", ""), parts=parts, **lists, **splits)


DATASETS: Registry[Dataset] = Registry("dataset", "dvta.datasets", of=Dataset)


@functools.lru_cache
def get(name: str) -> Dataset:
    """Return a dataset: shipped, registered under ``dvta.datasets``, or by dotted path.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name in SHIPPED:
        found = Dataset.read(name, Path(str(files(__package__) / f"{name}.json")))
        # NTU-60 is the first 60 classes of NTU-120
        return dataclasses.replace(found, parts=get("ntu120").parts[:60]) if name == "ntu60" else found
    try:
        found = DATASETS.get(name)
    except UnknownNameError:
        raise UnknownNameError(
            f"unknown dataset {name!r}{did_you_mean(name, names())}; known: {', '.join(names())}"
        ) from None
    return found


def names() -> list[str]:
    """Return the names of all known datasets."""
    return [*SHIPPED, *(n for n in DATASETS.names() if n not in SHIPPED)]


def packaged_text(dataset: Dataset) -> dict[str, np.ndarray] | None:
    """Return the shipped real all-MiniLM-L6-v2 embeddings, (C, 384) float32, or None.

    Keys ``labels``, ``contexts``, ``verbs``, ``nouns``, ``parts``. NTU-60 is the first 60 rows of NTU-120.
    """
    source = "ntu120" if dataset.name == "ntu60" else dataset.name
    if source not in SHIPPED:
        return None
    path = Path(str(files(__package__) / f"{source}_{PACKAGED_TEXT}.npz"))
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key][: len(dataset.class_names)].astype(np.float32) for key in archive.files}
