"""Data sets of one's own: ``<data root>/<name>/dataset.yaml``, read and written."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvta.datasets.dataset import RANDOM, Dataset
from dvta.errors import DataError, did_you_mean
from dvta.files import write_file
from dvta.texts import plain, read_text
from dvta.yaml import dump, load

FILE = "dataset.yaml"
NAME = re.compile(r"[A-Za-z0-9][\w-]{0,99}")
SPLIT_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*")
LISTS = ("class_names", "contexts", "verbs", "nouns")
KEYS = (*LISTS, "splits", "validation", "where", "citation")
MAX_BYTES = 4 << 20


def find(root: Path, name: str) -> Dataset | None:
    """Return the dataset that ``<root>/<name>/dataset.yaml`` describes, None where there is no such file.

    Raises:
        DataError: the file does not describe a dataset; the message names the file and the key.
    """
    if not NAME.fullmatch(name):
        return None
    path = root / name / FILE
    try:
        known = path.stat()
    except OSError:
        return None
    return _read(path, known.st_size, known.st_mtime_ns)


def names(root: Path) -> list[str]:
    """Return the names of the data sets described under a data root."""
    return sorted(p.parent.name for p in root.glob(f"*/{FILE}") if NAME.fullmatch(p.parent.name))


@functools.lru_cache(maxsize=64)
def _read(path: Path, size: int, modified: int) -> Dataset:  # read again where size or time is another
    return _parse(path, load(read_text(path, MAX_BYTES), path))


def _parse(path: Path, values: Any) -> Dataset:
    if not isinstance(values, dict):
        raise DataError(f"{path}: a mapping is expected, with {', '.join(KEYS)}")
    for key in values:
        if key not in KEYS:
            raise DataError(
                f"{path}: unknown key {str(key)[:80]!r}{did_you_mean(str(key)[:80], KEYS)}; allowed: {', '.join(KEYS)}"
            )
    lists = {key: _sentences(path, key, values.get(key)) for key in LISTS}
    classes = lists["class_names"]
    _check_classes(path, classes)
    for key in LISTS[1:]:
        if lists[key] and len(lists[key]) != len(classes):
            raise DataError(f"{path}: {key}: {len(lists[key])} of them for {len(classes)} classes")
    texts = {key: values.get(key) or "" for key in ("where", "citation")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise DataError(f"{path}: {key}: a text is expected")
    known = Dataset(
        name=path.parent.name,
        class_names=classes,
        contexts=lists["contexts"],
        verbs=lists["verbs"],
        nouns=lists["nouns"],
        splits={},
        validation={},
        where=texts["where"] or f"described in {path}",
        citation=texts["citation"],
        own=True,
    )
    splits = {n: known.class_ids(ids, f"{path}: splits.{n}") for n, ids in _named(path, "splits", values)}
    held = {
        n: known.class_ids(ids, f"{path}: validation.{n}") for n, ids in _named(path, "validation", values)
    }
    for name, ids in held.items():
        if name not in splits or set(ids) & set(splits[name]):
            raise DataError(f"{path}: validation.{name}: allowed: seen classes of a split of that name")
    return dataclasses.replace(known, splits=splits, validation=held)


def _sentences(path: Path, key: str, found: Any) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise DataError(f"{path}: {key}: a list is expected, in the order of class ids")
    for i, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            hint = " (quote it)" if isinstance(text, bool | int | float) else ""
            raise DataError(f"{path}: {key}[{i}]: {str(text)[:80]!r} is no text{hint}")
        if "\n" in text.strip() or not text.strip().isprintable():
            raise DataError(
                f"{path}: {key}[{i}]: {text[:80]!r} has a line break or a character that is not printed; "
                "allowed: one line of printed characters and blanks"
            )
    return tuple(text.strip() for text in found)


def _check_classes(path: Path, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise DataError(f"{path}: class_names: {len(classes)} classes; at least two are needed")
    known: dict[str, int] = {}
    for i, name in enumerate(classes):
        if (key := plain(name)) in known:
            raise DataError(
                f"{path}: class_names[{i}]: {name!r} stands there twice, as class {known[key]} too"
            )
        if name.removesuffix(".0").isdecimal():
            raise DataError(
                f"{path}: class_names[{i}]: {name!r} is a number, which tables and splits read as a class id; "
                f"allowed: a name with a letter, such as 'class {name}'"
            )
        known[key] = i


def _named(path: Path, key: str, values: Mapping[str, Any]) -> list[tuple[str, list[str | int]]]:
    found = values.get(key) or {}
    if not isinstance(found, dict):
        raise DataError(f"{path}: {key}: a mapping is expected, from the split's name to its classes")
    named = []
    for name, classes in found.items():
        check_split_name(str(name), f"{path}: {key}")
        if not isinstance(classes, list):
            raise DataError(f"{path}: {key}.{name}: a list of classes is expected, by name or id")
        named.append((str(name), classes))
    return named


def check_split_name(name: str, place: str) -> None:
    """Refuse a name that no split may have.

    Raises:
        DataError: so it is; the message begins with ``place``.
    """
    if RANDOM.fullmatch(name) or name.startswith("random/"):
        raise DataError(f"{place}: {name!r}: random/U/k are drawn by a rule and cannot be given")
    if not SPLIT_NAME.fullmatch(name) or ".." in name or len(name) > 100:
        raise DataError(
            f"{place}: {name[:80]!r} is no name of a split; allowed: letters, digits, and ._-/ between them"
        )


def write(root: Path, name: str, description: Mapping[str, Any]) -> Path:
    """Write a ``dataset.yaml`` and return it; keys without a value are left out.

    Raises:
        DataError: the description would not be read back, and nothing is written.
    """
    if not NAME.fullmatch(name):
        raise DataError(f"{name[:80]!r} is no name of a data set; allowed: letters, digits, _ and -")
    path = root / name / FILE
    if path.exists():
        raise DataError(f"{path}: is there already; edit it, or take another name")
    kept = {key: value for key, value in description.items() if value}
    _parse(path, kept)
    write_file(path, dump(kept).encode())
    return path
