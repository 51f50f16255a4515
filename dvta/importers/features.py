"""Bringing features people already have into the data root; nothing is written if anything is wrong."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.archives import Archive
from dvta.arrays import NAMES, NUMBERS, finite, load, read
from dvta.datasets import Dataset, Split
from dvta.datasets.dataset import RANDOM
from dvta.datasets.own import check_split_name
from dvta.errors import DataError, did_you_mean
from dvta.feature_files import FILES, RENAMED, check_arrays, feature_folder
from dvta.files import check_id, write_json
from dvta.importers.cmu import import_cmu_skeletons
from dvta.importers.staging import Imported, staged_import
from dvta.labels import as_ids, read_labels
from dvta.skeleton.splits import CLIPS

SYNSE_SPLITS = {
    5: ("ntu60", "55/5"),
    12: ("ntu60", "48/12"),
    10: ("ntu120", "110/10"),
    24: ("ntu120", "96/24"),
}
#: what the names of folders and archives call an encoder or a data set
VISUALS = {"shift": "shift_gcn", "stgcn": "st_gcn", "ctrgcn": "ctr_gcn"}
ALIASES = {"pku51": "pku", "pkummd": "pku", "ntu": "ntu60"}
FOLDER = re.compile(
    r"(?P<visual>[a-z0-9]+(?:_gcn)?)(?:_(?P<dataset>ntu60|ntu120|pku51|pku))?(?:_split(?P<number>\d+))?"
    r"(?P<val>_val)?_(?P<count>\d+)_r"
)
ARCHIVE = re.compile(
    r"(?P<dataset>ntu60|ntu120|pku51|pku)(?:_(?P<protocol>xsub|xview|xset))?_seen\d+_unseen(?P<count>\d+)"
    r"(?:_[a-z]*?_?split?(?P<number>\d+))?"
)
#: the folders of the combined archives, and which encoder made their features
COLLECTIONS = {
    "synse": "shift_gcn", "sadave": "st_gcn", "sadvae": "st_gcn",
    "star": "shift_gcn_1s", "starsmie": "shift_gcn_1s", "flora": "shift_gcn_1s",
}  # fmt: skip
SIX_KEYS = {
    "train": "train_data", "train_label": "train_label", "ztest": "zsl_data", "z_label": "zsl_label",
    "gtest": "gzsl_data", "g_label": "gzsl_label",
}  # fmt: skip
LABELS = {"train_label": "train", "z_label": "ztest", "g_label": "gtest"}
COUNTING = ("auto", "global", "renumbered")


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a person says of features whose place their names do not tell; None where nothing is said.

    Attributes:
        dataset, split, visual: names in the data root. unseen: the unseen classes of a split of one's own.
        labels: ``global``, ``renumbered`` (positions among the seen or the unseen classes), or ``auto``:
            global, or counted from one where nothing else is possible.
    """

    dataset: str | None = None
    split: str | None = None
    visual: str | None = None
    unseen: tuple[str | int, ...] | None = None
    labels: str = "auto"

    def __post_init__(self) -> None:
        if self.labels not in COUNTING:
            raise DataError(
                f"--labels {self.labels!r} is unknown{did_you_mean(self.labels, COUNTING)}; "
                f"allowed: {', '.join(COUNTING)}"
            )
        if self.visual is not None:
            check_id("--visual", self.visual)
        # random/U/k is a rule, unless somebody gives its classes
        if self.split is not None and (self.unseen is not None or not RANDOM.fullmatch(self.split)):
            check_split_name(self.split, "--split")


@dataclasses.dataclass(frozen=True)
class Source:
    """Feature arrays somewhere: what each is called there, and how to read it.

    Attributes:
        place: the folder or archive, for messages.
        names: array -> its file or member, for messages.
        load: array name -> the array as it is.
    """

    place: Path
    names: Mapping[str, str]
    load: Callable[[str], np.ndarray]
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path) -> Source:
        """Return the arrays of a folder of ``.npy`` files under SynSE's or DVTA's names."""
        paths = {}
        for name in FILES:
            candidates = (folder / f"{n}.npy" for n in (name, RENAMED.get(name, name)))
            path = next((p for p in candidates if p.is_file()), None)
            if path is not None:
                paths[name] = path

        def array(name: str) -> np.ndarray:
            return read_labels(paths[name]) if name in LABELS else read(paths[name], "float", (2, 4))

        return cls(folder, {n: str(p) for n, p in paths.items()}, array, paths)

    @classmethod
    def of_archive(cls, path: Path) -> Source | None:
        """Return the arrays of an ``.npz`` with six keys; None where it has other keys."""
        archive = Archive(path)
        for keys in (SIX_KEYS, {n: n for n in FILES}):
            found = {n: k for n, k in keys.items() if k in archive.members}
            if {"train", "train_label", "ztest", "z_label"} <= found.keys():
                break
        else:
            return None

        def array(name: str) -> np.ndarray:
            place = f"{path}: {found[name]}"
            values = archive.read(found[name], NUMBERS + NAMES if name in LABELS else NUMBERS)
            return as_ids(place, values) if name in LABELS else finite(place, values)

        return cls(path, {n: f"{path}: {k}" for n, k in found.items()}, array)

    def arrays(self) -> dict[str, np.ndarray]:
        """Read all arrays.

        Raises:
            DataError: one is missing or malformed.
        """
        missing = [n for n in FILES[:4] if n not in self.names]
        if missing:
            raise DataError(
                f"{self.place}: {', '.join(f'{n}.npy' for n in missing)} missing; nothing is imported"
            )
        return {name: self.load(name) for name in self.names}


@dataclasses.dataclass(frozen=True)
class Found:
    """Features with their place in the data root: ``dataset``, ``split`` and ``visual``."""

    source: Source
    dataset: str
    split: str | None
    visual: str
    count: int | None = None


def import_features(kind: str, path: Path, root: Path, choice: Choice | None = None) -> Imported:
    """Bring a known layout into the data root.

    Args:
        kind: ``cmu`` (``features/<split>/``, ``text/``, ``skeletons.npz``); ``synse`` (``shift_K_r`` folders,
            MSF's, or SA-DVAE's ``stgcn_ntu60_split2_5_r``); ``dvta`` (``split_K`` folders); ``flora``
            (``ntu60_xsub_seen55_unseen5.npz`` …).
        path: the folder or archive. choice: what the names there do not tell.

    Raises:
        DataError: the layout is not there, or its arrays contradict the dataset or split.
    """
    choice, done = choice or Choice(), Imported()
    finders = {"cmu": _cmu_folders, "synse": _synse_folders, "dvta": _dvta_folders, "flora": _archives}
    found = list(finders[kind](path, choice, done))
    skeletons = path / "skeletons.npz"
    has_skeletons = kind == "cmu" and skeletons.is_file()
    if not found and not has_skeletons:
        hint = "".join(f"; {note}" for note in done.notes)
        expected = {"flora": "archives such as ntu60_xsub_seen55_unseen5.npz"}
        raise DataError(
            f"{path}: no {kind} features here; expected "
            f"{expected.get(kind, 'folders of train.npy, ztest.npy and labels')}{hint}"
        )
    with staged_import(root, done) as stage:
        places: dict[Path, Path] = {}
        for features in found:
            target = place(features, root, stage, choice, done)
            if target in places:
                raise DataError(
                    f"{features.source.place}: the same features as {places[target]} "
                    f"({target.relative_to(stage)}); import one of them, or give --visual"
                )
            places[target] = features.source.place
        if kind == "cmu" and (found or (path / "classes.txt").is_file()):
            _stage_cmu_text(path, stage)
        if has_skeletons:
            # the last that can be wrong: nothing is written yet
            if any((root / "cmu" / "skeletons" / CLIPS).glob("*")):
                done.say(f"replaced {root / 'cmu' / 'skeletons' / CLIPS}")
            folder = import_cmu_skeletons(skeletons, root)
            done.files += sorted(p for p in folder.iterdir() if p.is_file())
    return done


def place(found: Found, root: Path, stage: Path, choice: Choice, done: Imported) -> Path:
    """Check features and write them to their folder below ``stage``; returns the folder.

    Raises:
        DataError: they contradict each other, their dataset or their split; the message names the user's file.
    """
    known = datasets.get(found.dataset, root)
    arrays = found.source.arrays()
    raw = {name: arrays[name] for name in LABELS if name in arrays}
    split = _split_of(found, known, raw, choice)
    arrays |= _global_ids(found.source, known, split, raw, choice, done)
    check_arrays(arrays, found.source.names, known, split)
    if "gtest" not in arrays:
        done.say(f"{found.source.place}: no gtest.npy: no generalised evaluation with these features")
    target = feature_folder(stage, known.name, found.visual, split.name)
    target.mkdir(parents=True, exist_ok=True)
    if not any(target.iterdir()):
        for name, array in arrays.items():
            _write(found.source, name, array, target / f"{name}.npy", done)
    return target


def _write(source: Source, name: str, array: np.ndarray, target: Path, done: Imported) -> None:
    """Copy a file that is right as it is, else write the array."""
    path = source.files.get(name)
    if path is not None and name not in LABELS:
        shutil.copyfile(path, target)
        return
    if path is not None:
        kept = load(path, NUMBERS + NAMES) if path.suffix == ".npy" else array
        if kept.dtype.kind in "iu" and kept.shape == array.shape and (kept == array).all():
            shutil.copyfile(path, target)
            return
        if kept.dtype.kind not in "iu" or kept.ndim != 1:
            done.say(f"{path}: labels of type {kept.dtype} and shape {kept.shape}, written as ids (N,)")
    np.save(target, array)


def _split_of(found: Found, known: Dataset, labels: Mapping[str, np.ndarray], choice: Choice) -> Split:
    """Return the split of features: named, or the one whose unseen classes they have."""
    name = choice.split or found.split
    if name is not None:
        return known.split(name, choice.unseen)
    ids = set(labels["z_label"].tolist()) if len(labels["z_label"]) else set()
    for shifted in (ids, {i - 1 for i in ids}):
        fitting = [n for n, unseen in known.splits.items() if set(unseen) == shifted]
        if fitting:
            return known.split(fitting[0])
    names = ", ".join(known.class_names[c] for c in sorted(ids) if 0 <= c < len(known.class_names))
    raise DataError(
        f"{found.source.names['z_label']}: no split of {known.name} has these unseen classes ({names}); "
        f"name yours with --split NAME --unseen {','.join(map(str, sorted(ids)))}"
    )


def _global_ids(
    source: Source,
    known: Dataset,
    split: Split,
    raw: Mapping[str, np.ndarray],
    choice: Choice,
    done: Imported,
) -> dict[str, np.ndarray]:
    """Return labels as global ids from 0, after turning those that count from one or are renumbered."""
    sides = {"train_label": split.seen, "z_label": split.unseen, "g_label": range(len(known.class_names))}

    def fits(labels: Mapping[str, np.ndarray]) -> bool:
        return all(np.isin(ids, list(sides[name])).all() for name, ids in labels.items())

    if choice.labels == "global" or (choice.labels == "auto" and fits(raw)):
        return dict(raw)
    if choice.labels == "auto":
        lowered = {name: ids - 1 for name, ids in raw.items()}
        if fits(lowered):
            done.say(f"{source.place}: labels count from 1; written from 0")
            return lowered
    positions = {n: ids for n, ids in raw.items() if n != "g_label"}
    renumbered = all(
        len(ids) and ids.min() >= 0 and ids.max() < len(sides[n]) for n, ids in positions.items()
    )
    if choice.labels == "renumbered":
        if not renumbered:
            raise DataError(f"{source.place}: labels are no positions among the seen and the unseen classes")
        done.say(f"{source.place}: labels taken as positions among the seen or unseen classes, ascending")
        return {**raw, **{n: np.array(sides[n])[ids] for n, ids in positions.items()}}
    if renumbered:
        raise DataError(
            f"{source.names['train_label']}: labels 0 to {int(raw['train_label'].max())} and, in "
            f"{source.names['z_label']}, 0 to {int(raw['z_label'].max())}: they seem to be positions among the "
            f"{len(split.seen)} seen and {len(split.unseen)} unseen classes of split {split.name}, not ids; "
            "if so, give --labels renumbered"
        )
    return dict(raw)


# --- the layouts --------------------------------------------------------------------------------


def _cmu_folders(path: Path, choice: Choice, done: Imported) -> Iterable[Found]:
    for folder in sorted((path / "features").glob("*")):
        if folder.name in datasets.get("cmu").splits:
            yield Found(Source.of_folder(folder), "cmu", folder.name, choice.visual or "st_gcn")
        elif folder.is_dir():
            done.say(f"left out {folder}: cmu has no such split")


def _dvta_folders(path: Path, choice: Choice, done: Imported) -> Iterable[Found]:
    for count, (dataset, split) in SYNSE_SPLITS.items():
        for folder in _folders(path, f"split_{count}"):
            yield Found(Source.of_folder(folder), dataset, split, choice.visual or "shift_gcn")


def _synse_folders(path: Path, choice: Choice, done: Imported) -> Iterable[Found]:
    for folder in _folders(path, "*_r"):
        parts = FOLDER.fullmatch(folder.name)
        if parts is None:
            if (folder / "train.npy").is_file():
                done.say(f"left out {folder}: its name is not of the form ENCODER_K_r")
            continue
        if parts["val"] or parts["visual"].endswith("val"):
            done.say(f"left out {folder}: features of the validation phase")
            continue
        count = int(parts["count"])
        named = SYNSE_SPLITS.get(count)
        dataset = choice.dataset or ALIASES.get(parts["dataset"], parts["dataset"]) or (named and named[0])
        if dataset is None:
            done.say(f"left out {folder}: {count} unseen classes tell no data set; give --dataset")
            continue
        # numbered splits are others than SynSE's, and told by their classes
        split = named[1] if named and named[0] == dataset and not parts["number"] else None
        visual = choice.visual or VISUALS.get(parts["visual"], parts["visual"])
        if not (folder / "train_feature.npy").is_file():
            yield Found(Source.of_folder(folder), dataset, split, visual, count)


def _archives(path: Path, choice: Choice, done: Imported) -> Iterable[Found]:
    for file in [path] if path.is_file() else sorted(path.rglob("*.npz")):
        parts = ARCHIVE.fullmatch(file.stem)
        source = Source.of_archive(file) if parts else None
        if parts is None or source is None:
            done.say(f"left out {file}: not an archive of train_data, zsl_data and gzsl_data with labels")
            continue
        collection = file.parent.name.removesuffix("_features")
        visual = choice.visual or COLLECTIONS.get(collection)
        if visual is None:
            raise DataError(
                f"{file}: its folder {file.parent.name!r} does not tell which encoder made the features "
                f"(known: {', '.join(f'{c}_features' for c in COLLECTIONS)}); give --visual"
            )
        other = parts["protocol"] in ("xview", "xset") and not choice.visual
        dataset = choice.dataset or ALIASES.get(parts["dataset"], parts["dataset"])
        yield Found(
            source, dataset, None, f"{visual}_{parts['protocol']}" if other else visual, int(parts["count"])
        )


def _folders(path: Path, pattern: str) -> list[Path]:
    """Return the folders of a name below a path, or the path itself."""
    return sorted(p for p in {path, *path.rglob(pattern)} if p.is_dir() and p.match(pattern))


def _stage_cmu_text(path: Path, stage: Path) -> None:
    try:
        names = (path / "classes.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}/classes.txt: cannot be read ({error})") from error
    if tuple(n for n in names if n) != datasets.get("cmu").class_names:
        raise DataError(f"{path}/classes.txt: not the 34 classes of the catalogue")
    target = stage / "cmu" / "text"
    target.mkdir(parents=True)
    for part in ("labels", "contexts"):
        source = path / "text" / f"{datasets.PACKAGED_TEXT}_{part}.npy"
        if source.is_file():
            array = read(source, "float", 2)
            if len(array) != len(names) and len(array) != len(datasets.get("cmu").class_names):
                raise DataError(f"{source}: {len(array)} rows, expected 34")
            shutil.copyfile(source, target / f"sbert_{part}.npy")
    # the shipped texts are by the same model
    packaged = datasets.packaged_text(datasets.get("cmu")) or {}
    for part in ("verbs", "nouns", "parts"):
        np.save(target / f"sbert_{part}.npy", packaged[part])
    write_json(target / "sbert.json", {"model": datasets.PACKAGED_TEXT})
