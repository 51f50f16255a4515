"""SMIE's and DVTA's prepared skeletons and texts, brought into the data root."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import header
from dvta.errors import DataError
from dvta.files import RowWriter, copy_file
from dvta.importers.staging import Imported, staged_import
from dvta.skeleton.arrays import label_path, open_positions, read_labels

PARTS = ("train", "val")
OF_SPLIT = {
    **dict.fromkeys((1, 2, 3), "ntu60"),
    **dict.fromkeys((4, 5, 6), "ntu120"),
    **dict.fromkeys((7, 8, 9), "pku"),
}
#: by part: arrays of samples, and their labels
Parts = dict[str, tuple[list[np.ndarray], list[np.ndarray]]]


def import_smie(path: Path, root: Path, *, link: bool = False) -> Imported:
    """Bring in SMIE's and DVTA's skeletons and text features.

    Known are ``{dataset}_frame50/{protocol}/{train,val}_position.npy`` with their labels,
    ``zeroshot/{dataset}/split_{k}/seen_train_data.npy`` and its five companions, and
    ``language/{dataset}_embeddings.npy`` (with ``_cont_`` contexts, and ``_clip_`` ones).

    Args:
        link: link the large arrays of the first form instead of copying them.

    Raises:
        DataError: nothing of this is there, or an array or label file is malformed.
    """
    frames = [f for f in sorted(path.rglob("*_frame50/*")) if (f / "train_position.npy").is_file()]
    cut = [f for f in sorted(path.rglob("split_*")) if (f / "seen_train_data.npy").is_file()]
    texts = sorted(path.rglob("*_embeddings.npy"))
    if not frames and not cut and not texts:
        raise DataError(
            f"{path}: nothing of SMIE's layout here; expected NAME_frame50/xsub/train_position.npy, "
            "zeroshot/NAME/split_K/seen_train_data.npy or language/NAME_embeddings.npy"
        )
    plans = [(_frames_dataset(f), f) for f in frames]
    for dataset, folder in plans:
        for part in PARTS:
            positions = open_positions(folder / f"{part}_position.npy")
            read_labels(label_path(folder, part), len(positions), len(datasets.get(dataset).class_names))
    splits = [_split_parts(folder) for folder in cut]
    done = Imported()
    copies = _text_files(texts, done)
    for dataset, folder in plans:
        _copy_frames(folder, root / dataset / "skeletons" / folder.name, done, link=link)
    for target, parts in splits:
        _join_split(root / target, parts, done)
    with staged_import(root, done) as stage:
        for source, copy in copies:
            copy_file(source, stage / copy)
    return done


def _frames_dataset(folder: Path) -> str:
    name = folder.parent.name.removesuffix("_frame50")
    if name not in datasets.names():
        raise DataError(f"{folder}: {name!r} is no data set; known: {', '.join(datasets.names())}")
    return name


def _copy_frames(folder: Path, target: Path, done: Imported, *, link: bool) -> None:
    with done.folder(target) as stage:
        for part in PARTS:
            for source in (folder / f"{part}_position.npy", label_path(folder, part)):
                if link:
                    (stage / source.name).symlink_to(source.resolve())
                else:
                    shutil.copyfile(source, stage / source.name)


def _split_parts(folder: Path) -> tuple[Path, Parts]:
    """Return where one split's arrays belong below the data root, and what they hold: nothing is written yet."""
    number = folder.name.removeprefix("split_")
    if not number.isdecimal() or int(number) not in OF_SPLIT:
        raise DataError(f"{folder}: allowed: split_1 to split_9")
    dataset = OF_SPLIT[int(number)]
    classes = len(datasets.get(dataset).class_names)
    parts: Parts = {}
    for part, sources in (("train", ("seen_train",)), ("val", ("seen_test", "unseen"))):
        arrays = [open_positions(folder / f"{s}_data.npy") for s in sources]
        if len({array.shape[1:] for array in arrays}) > 1:
            shapes = " and ".join(f"{s}_data.npy {a.shape}" for s, a in zip(sources, arrays, strict=True))
            raise DataError(f"{folder}: {shapes} cannot be joined; allowed: alike but for the samples")
        labels = [
            read_labels(folder / f"{s}_label.npy", len(a), classes)
            for s, a in zip(sources, arrays, strict=True)
        ]
        parts[part] = arrays, labels
    return Path(dataset) / "skeletons" / f"zeroshot_smie_{number}", parts


def _join_split(target: Path, parts: Parts, done: Imported) -> None:
    """Write one split's arrays as training and test part: seen and unseen test samples in one file."""
    with done.folder(target) as stage:
        for part, (arrays, labels) in parts.items():
            with (
                RowWriter(stage / f"{part}_position.npy", arrays[0].shape[1:], "<f4") as positions,
                RowWriter(stage / f"{part}_label.npy", (), "<i8") as ids,
            ):
                for array, label in zip(arrays, labels, strict=True):
                    for row, value in zip(array, label, strict=True):
                        positions.append(np.asarray(row, np.float32))
                        ids.append(int(value))


def _text_files(files: list[Path], done: Imported) -> list[tuple[Path, Path]]:
    """Return label and context embeddings and where they belong; descriptions of SMIE are no contexts and stay."""
    forms = {"": ("sbert", "labels"), "_cont": ("sbert", "contexts"), "_clip": ("clip", "labels")}
    copies = []
    for file in files:
        stem = file.name.removesuffix("_embeddings.npy")
        dataset = next(
            (n for n in sorted(datasets.names(), key=len, reverse=True) if stem.startswith(n)), None
        )
        form = forms.get(stem.removeprefix(dataset)) if dataset else None
        if dataset is None or form is None:
            done.say(f"left out {file}: neither labels nor contexts of a known data set")
            continue
        shape, _ = header(file)
        if len(shape) != 2 or shape[0] != len(datasets.get(dataset).class_names):
            raise DataError(f"{file}: shape {shape}, expected a row for every class of {dataset}")
        copies.append((file, Path(dataset) / "text" / f"{form[0]}_{form[1]}.npy"))
    return copies
