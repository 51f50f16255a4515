"""What a data root holds, and whether it can be read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from dvta import datasets
from dvta.data_ref import read_texts
from dvta.datasets import SHIPPED, Dataset
from dvta.datasets.own import FILE
from dvta.errors import DvtaError
from dvta.feature_files import ALL_FILES, read_arrays
from dvta.importers.texts import TEXT_FORMS
from dvta.skeleton import splits

_TEXT = re.compile(rf"(.+)_({'|'.join((*TEXT_FORMS, 'parts'))})\.npy")


@dataclasses.dataclass(frozen=True)
class Check:
    """A thing that was checked: ``wrong`` says what is wrong with it, ``unknown`` why it could not be."""

    path: Path
    wrong: str | None = None
    unknown: str | None = None


def contents(root: Path) -> Iterator[str]:
    """Yield a line for everything that a data root holds, and for every data set of which it holds nothing."""
    for name in datasets.names(root):
        try:
            known = datasets.get(name, root)
        except DvtaError as error:
            yield f"{name}: {error}"
            continue
        found = [str(p.relative_to(root)) for p in feature_folders(root, name)]
        found += [f"{name}/skeletons/{protocol}" for protocol in splits.available(root, name)]
        if known.own:
            named = ", ".join((*known.splits, "random/U/k"))
            yield f"{name}: {name}/{FILE}: {len(known.class_names)} classes, splits {named}"
        for place in found:
            yield f"{name}: {place}"
        if not found:
            yield f"{name}: no features or skeletons under {root / name}; {known.where}"


def feature_folders(root: Path, name: str) -> list[Path]:
    """Return the feature folders of a dataset: those that hold any feature file."""
    files = (root / name / "features").glob("*/*/*.npy")
    return sorted({p.parent for p in files if p.stem in ALL_FILES})


def check_features(root: Path) -> Iterator[Check]:
    """Read every feature folder and every description of a data root."""
    for name in datasets.names(root):
        try:
            known = datasets.get(name, root)
        except DvtaError as error:
            yield Check(root / name / FILE, wrong=str(error))
            continue
        if name in SHIPPED and (root / name / FILE).exists():
            yield Check(
                root / name / FILE, unknown=f"{name} is shipped, and this description of it is not read"
            )
        for folder in feature_folders(root, name):
            yield _check(folder, known)


def _check(folder: Path, known: Dataset) -> Check:
    drawn = re.fullmatch(r"random-(\d+)-(\d+)", folder.name)
    by_folder = {name.replace("/", "-"): name for name in known.splits}
    split = f"random/{drawn[1]}/{drawn[2]}" if drawn else by_folder.get(folder.name)
    if split is None:
        return Check(
            folder, unknown=f"{known.name} has no split {folder.name}; a spec may define it under splits"
        )
    samples = {p.stem for p in folder.glob("*.npy") if p.stem in ALL_FILES and "label" not in p.stem}
    unpooled = {stem for stem in samples if stem.endswith("_unpooled")}
    try:
        if samples != unpooled or not unpooled:
            read_arrays(folder, known, known.split(split), frozenset({"masked"}))
        if unpooled:
            read_arrays(folder, known, known.split(split), frozenset({"unpooled"}))
    except DvtaError as error:
        return Check(folder, wrong=str(error))
    return Check(folder)


def check_texts(root: Path) -> Iterator[Check]:
    """Read the text features of every data set, by their id; a description that is wrong is no matter of them."""
    for name in datasets.names(root):
        try:
            known = datasets.get(name, root)
        except DvtaError:
            continue
        folder = root / name / "text"
        found = (_TEXT.fullmatch(p.name) for p in folder.glob("*.npy"))
        for text in sorted({match[1] for match in found if match}):
            try:
                read_texts(root, known, text)
            except DvtaError as error:
                yield Check(folder / text, wrong=str(error))
            else:
                yield Check(folder / text)
