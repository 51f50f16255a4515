"""Features and joint positions of one's own, as arrays, brought into the data root."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dvta import datasets
from dvta.archives import Archive
from dvta.arrays import NAMES, NUMBERS, finite, load
from dvta.datasets import Dataset
from dvta.errors import DataError, OptionError
from dvta.feature_files import FILES
from dvta.files import RowWriter, check_id, write_json
from dvta.importers.features import Choice, Found, Source, place
from dvta.importers.recordings import Recordings, read_ntu_files, read_pyskl
from dvta.importers.staging import Imported, staged_import
from dvta.labels import as_ids, check_range, raw_labels
from dvta.skeleton.clips import part_by_clip
from dvta.skeleton.motion import check_fps
from dvta.skeleton.preprocess import WINDOWS, frames_of, recipe_of
from dvta.skeleton.sequences import (
    CAMERA_RATE,
    as_sequences,
    is_prepared,
    is_sequence_file,
    prepare_sequence,
    read_sequences,
)
from dvta.skeleton.splits import CLIPS

#: what arrays are called: samples, their labels, and the recording each was cut from
SAMPLES = ("x", "data", "features", "skeletons", "keypoints", "positions")
IDS = ("y", "label", "labels", "classes")
GROUPS = ("clip", "clips", "group", "groups", "recording", "recordings")
PARTS = {"train": "train", "test": "val"}


def import_arrays(
    path: Path,
    root: Path,
    choice: Choice,
    *,
    labels: Path | None = None,
    protocol: str | None = None,
    recipe: str = "frames50",
    fps: float = CAMERA_RATE,
) -> Imported:
    """Bring in features (N, D) or joint positions of one's own.

    Known are a ``.npy`` file with ``labels``; an ``.npz`` or a folder of ``.npy`` files with ``x`` and
    ``y`` (and ``clip``), with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or under SynSE's or
    Flora's six names; a ``.pkl`` of pyskl; and a folder of ``.skeleton.npy`` files of NTU's names.

    Features go to the split of the choice: seen classes train, unseen ones test. Joint positions that
    come in two parts go to ``skeletons/<protocol>``; others are cut into windows of ``skeletons/clips``,
    where training and test are parted by recording.

    Args:
        path: the file or folder. choice: dataset, split and visual encoder.
        labels: ids or names of the classes, for an array that stands alone.
        protocol: the name for joint positions that come in parts, by default ``xsub``.
        recipe: ``frames50`` or ``frames300``, for those. fps: frames a second, for windows.

    Raises:
        DataError: nothing of this is there, the protocol is no name, or the arrays contradict each other or the
            catalogue.
        OptionError: the recipe is unknown, or the frames a second are impossible.
    """
    recipe_of(recipe)
    check_fps(fps)
    if path.suffix.lower() != ".npy":
        _check_taken({"--labels": labels is not None}, f"{path}: arrays with labels beside them")
    if choice.dataset is None:
        raise DataError("--dataset is missing; name the data set whose classes the labels are")
    if protocol is not None:
        check_id("--protocol", protocol)
    known = datasets.get(choice.dataset, root)
    done = Imported()
    if path.suffix.lower() in (".pkl", ".pickle"):
        parts = read_pyskl(path, known, protocol)
    elif path.is_dir() and (bodies := sorted(path.rglob("*.skeleton.npy"))):
        parts = read_ntu_files(bodies, known, protocol or "xsub")
    else:
        arrays = _Arrays.open(path, labels)
        if arrays.six is not None or arrays.ndim() == 2:
            _check_taken(
                {"--protocol": protocol is not None, "--fps": fps != CAMERA_RATE}, f"{path}: features"
            )
            _features(arrays, known, root, choice, done)
            return done
        parts = arrays.recordings(known)
    for part in parts.values():
        check_range(f"{part.place}: labels", part.labels, len(known.class_names))
    target = root / known.name / "skeletons" / (CLIPS if CLIPS in parts else protocol or "xsub")
    if CLIPS in parts and protocol not in (None, CLIPS):
        raise DataError(f"{path}: --protocol {protocol}: recordings without a test part go to {CLIPS}")
    with done.folder(target) as stage:
        counts = {}
        for name, part in parts.items():
            counts[PARTS.get(name, "all")] = _write_part(
                stage, PARTS.get(name, "all"), part, WINDOWS if name == CLIPS else recipe, fps, done
            )
        about = {"dataset": known.name, "protocol": target.name, "from": path.name, "samples": counts}
        write_json(stage / "about.json", about)
    return done


def _check_taken(given: Mapping[str, bool], by: str) -> None:
    """Refuse options that would change nothing."""
    for option, present in given.items():
        if present:
            raise OptionError(f"{option}: has no effect for {by}; leave it out")


# --- features -----------------------------------------------------------------------------------


def _features(arrays: _Arrays, known: Dataset, root: Path, choice: Choice, done: Imported) -> None:
    if choice.visual is None:
        raise DataError("--visual is missing; name the encoder of the features, as specs will")
    if choice.split is None:
        raise DataError(f"--split is missing; allowed: {', '.join((*known.splits, 'random/U/k'))}")
    source = arrays.six or arrays.parted(known, choice, done)
    with staged_import(root, done) as stage:
        place(Found(source, known.name, choice.split, choice.visual), root, stage, choice, done)


@dataclasses.dataclass(frozen=True)
class _Arrays:
    """Named arrays of a file or folder, read one by one.

    Attributes:
        path: the file or folder. names: the arrays. read: gives one. six: where they have SynSE's or Flora's names.
    """

    path: Path
    names: tuple[str, ...]
    read: Callable[[str], np.ndarray]
    shape: Callable[[str], tuple[int, ...]]
    six: Source | None = None
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def place(self, name: str) -> str:
        """Return what messages call an array: its own file, or the archive and its name there."""
        return str(self.files[name]) if name in self.files else f"{self.path}: {name}"

    @classmethod
    def open(cls, path: Path, labels: Path | None) -> _Arrays:
        if path.is_dir():
            files = {p.stem: p for p in sorted(path.glob("*.npy"))}
            if (
                set(FILES[:4]) <= files.keys()
                or {"train", "train_label", "test", "test_label"} <= files.keys()
            ):
                return cls(path, (), lambda name: load(files[name]), lambda name: (), Source.of_folder(path))
            if not files:
                raise DataError(
                    f"{path}: no .npy files here; expected x.npy and y.npy, or x_train.npy and so on"
                )
            return cls._of_files(path, files)
        if path.suffix.lower() == ".npz":
            archive = Archive(path)
            kinds = NUMBERS + NAMES
            return cls(
                path,
                tuple(archive.members),
                lambda n: archive.read(n, kinds),
                lambda n: archive.header(n, kinds)[0],
                Source.of_archive(path),
            )
        if path.suffix.lower() != ".npy":
            raise DataError(f"{path}: allowed: .npy, .npz, .pkl, or a folder of .npy files")
        if labels is None:
            raise DataError(f"{path}: --labels is missing: a file of the samples' classes, by id or name")
        return cls._of_files(path, {"x": path, "y": labels})

    @classmethod
    def _of_files(cls, path: Path, files: Mapping[str, Path]) -> _Arrays:
        def array(name: str) -> np.ndarray:
            return _any(files[name])

        return cls(path, tuple(files), array, lambda name: array(name).shape, files=files)

    def ndim(self) -> int:
        """Return the number of axes of the samples."""
        return len(self.shape(self._one(SAMPLES) or self._parts()["train"][0]))

    def recordings(self, known: Dataset) -> dict[str, Recordings]:
        """Return joint positions by part: ``train`` and ``test``, or ``clips``."""
        x = self._one(SAMPLES)
        if x is None:
            return {part: self._recordings(known, *names, None) for part, names in self._parts().items()}
        return {CLIPS: self._recordings(known, x, self._ids(), self._one(GROUPS))}

    def parted(self, known: Dataset, choice: Choice, done: Imported) -> Source:
        """Return features under SynSE's six names: parted as they come, or by recording."""
        assert choice.split is not None
        split = known.split(choice.split, choice.unseen)
        x = self._one(SAMPLES)
        if x is not None:
            values, ids = self.read(x), self._labels(known, self._ids())
            clips = self._one(GROUPS)
            names = self._groups(clips, len(ids))
            _same_length(self.path, {x: values, "labels": ids, clips or "recordings": names})
            if not clips:
                done.say(
                    f"{self.path}: no array of recordings (clip); each row is taken for a recording of its own"
                )
            test = part_by_clip(names, ids, list(split.seen))
            train_x, train_y, test_x, test_y = values[~test], ids[~test], values[test], ids[test]
            unseen = np.isin(ids, split.unseen)
            zx, zy = values[unseen], ids[unseen]
        else:
            parts = {p: (self.read(a), self._labels(known, b)) for p, (a, b) in self._parts().items()}
            (train_x, train_y), (test_x, test_y) = parts["train"], parts["test"]
            unseen = np.isin(test_y, split.unseen)
            zx, zy = test_x[unseen], test_y[unseen]
        seen = np.isin(train_y, split.seen)
        both = np.isin(test_y, (*split.seen, *split.unseen))
        if x is not None:
            test_x, test_y = np.concatenate([test_x, zx]), np.concatenate([test_y, zy])
            both = np.ones(len(test_y), bool)
        arrays: dict[str, np.ndarray] = {
            "train": train_x[seen], "train_label": train_y[seen], "ztest": zx, "z_label": zy,
            "gtest": test_x[both], "g_label": test_y[both],
        }  # fmt: skip
        for name, what in (("train", "seen"), ("ztest", "unseen")):
            if not len(arrays[name]):
                raise DataError(f"{self.path}: has no samples of the {what} classes of split {split.name}")
        for name in ("train", "ztest", "gtest"):
            if arrays[name].ndim != 2:
                raise DataError(f"{self.path}: features of shape {arrays[name].shape}, allowed: (N, D)")
            arrays[name] = finite(self.place(x) if x else f"{self.path}: {name}", arrays[name])
        return Source(self.path, dict.fromkeys(arrays, str(self.path)), arrays.__getitem__)

    def _recordings(self, known: Dataset, x: str, y: str, clips: str | None) -> Recordings:
        place = self.place(x)
        array = self.read(x)
        sequences = as_sequences(place, array)
        ids = self._labels(known, y)
        names = self._groups(clips, len(ids))
        _same_length(self.path, {x: sequences, "labels": ids, clips or "recordings": names})
        return Recordings(place, lambda: iter(sequences), ids, names.tolist())

    def _groups(self, name: str | None, count: int) -> np.ndarray:
        """Return the names (N,) of the recordings that samples were cut from; each is its own where there is no array."""
        if name is None:
            return np.arange(count).astype(str)
        found = self.read(name)
        if found.ndim == 2 and found.shape[1] == 1:
            found = found[:, 0]
        if found.ndim != 1:
            raise DataError(f"{self.place(name)}: shape {found.shape}, allowed: (N,) or (N, 1)")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise DataError(
                f"{self.place(name)}: row {int(np.isfinite(found).argmin())} is no name of a recording"
            )
        return found.astype(str)

    def _labels(self, known: Dataset, name: str) -> np.ndarray:
        ids = as_ids(self.place(name), self.read(name), known.class_names)
        check_range(self.place(name), ids, len(known.class_names))
        return ids

    def _one(self, known: Sequence[str]) -> str | None:
        found = [n for n in self.names if n.lower() in known]
        if len(found) > 1:
            raise DataError(f"{self.path}: {' and '.join(found)}: only one of them is expected")
        return found[0] if found else None

    def _ids(self) -> str:
        found = self._one(IDS)
        if found is None:
            raise DataError(
                f"{self.path}: has no labels ({', '.join(IDS)}); it has {', '.join(self.names[:10])}"
            )
        return found

    def _parts(self) -> dict[str, tuple[str, str]]:
        """Return the arrays of samples and labels of both parts."""
        found = {part: (f"x_{part}", f"y_{part}") for part in PARTS}
        missing = [n for pair in found.values() for n in pair if n not in self.names]
        if missing:
            raise DataError(
                f"{self.path}: has {', '.join(self.names[:10]) or 'no arrays'}; expected x and y, or x_train, y_train, "
                "x_test and y_test, or the six arrays of SynSE or Flora"
            )
        return found


def _any(path: Path) -> np.ndarray:
    """Read an array: of samples, of labels in any form, or of names."""
    if path.suffix.lower() != ".npy":
        return raw_labels(path)
    return read_sequences(path) if is_sequence_file(path) else load(path, NUMBERS + NAMES)


def _same_length(path: Path, arrays: Mapping[str, Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} of {name}" for name, n in lengths.items())
        raise DataError(f"{path}: {shown}: one for each sample is expected")


# --- joint positions ----------------------------------------------------------------------------


def _write_part(
    stage: Path, part: str, recordings: Recordings, recipe: str, fps: float, done: Imported
) -> int:
    """Write one part's samples, labels and names; returns how many there are."""
    frames = frames_of(recipe)
    people = 1 if recipe == WINDOWS else 2
    names = []
    with (
        RowWriter(stage / f"{part}_position.npy", (3, frames, 25, people), "<f4") as positions,
        RowWriter(stage / f"{part}_label.npy", (), "<i8") as ids,
    ):
        for row, (sequence, label) in enumerate(zip(recordings.rows(), recordings.labels, strict=True)):
            where = f"{recordings.place} row {row}"
            if is_prepared(sequence[None], recipe) and len(sequence) <= people:
                samples = sequence.transpose(3, 1, 2, 0)[None]
            else:
                samples, notes = prepare_sequence(sequence, recipe, where, fps)
                for note in notes:
                    done.say(f"{recordings.place}: {note}")
            if recipe == WINDOWS and len(sequence) > 1 and sequence[1:].any():
                done.say(f"{recordings.place}: the second body is left out of windows")
            for number, sample in enumerate(samples):
                padded = np.zeros((3, frames, 25, people), np.float32)
                padded[..., : sample.shape[3]] = sample
                positions.append(padded)
                ids.append(int(label))
                names.append(f"{_line(recordings.names[row])}:{number}")
    (stage / f"{part}_name.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
    if not names:
        raise DataError(f"{recordings.place}: has no samples")
    return len(names)


def _line(name: str) -> str:
    return " ".join(name.split()) or "unnamed"
