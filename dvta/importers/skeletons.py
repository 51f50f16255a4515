"""Bringing prepared skeletons people already have into the data root."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import header
from dvta.errors import DataError
from dvta.skeleton.arrays import CtrGcnArchive, RowWriter, open_positions, read_labels, staged_folder
from dvta.skeleton.preprocess import RECIPES, recipe_of

PARTS = ("train", "val")
CTR_GCN = {
    "NTU60_CS": ("ntu60", "xsub"),
    "NTU60_CV": ("ntu60", "xview"),
    "NTU120_CSub": ("ntu120", "xsub"),
    "NTU120_CSet": ("ntu120", "xsetup"),
}
OF_SPLIT = {
    **dict.fromkeys((1, 2, 3), "ntu60"),
    **dict.fromkeys((4, 5, 6), "ntu120"),
    **dict.fromkeys((7, 8, 9), "pku"),
}


def import_smie(path: Path, root: Path, *, link: bool = False) -> list[Path]:
    """Bring in SMIE's and DVTA's skeletons and text features; returns the folders and files written.

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
            read_labels(_labels(folder, part), len(positions), len(datasets.get(dataset).class_names))
    written = [
        _copy_frames(folder, root / dataset / "skeletons" / folder.name, link=link)
        for dataset, folder in plans
    ]
    written += [_join_split(folder, root) for folder in cut]
    return [*written, *_copy_texts(texts, root)]


def import_ctr_gcn(path: Path, root: Path, *, recipe: str = "frames50") -> list[Path]:
    """Bring in CTR-GCN's archives; returns the folders written.

    Known are ``NTU60_CS.npz``, ``NTU60_CV.npz``, ``NTU120_CSub.npz`` and ``NTU120_CSet.npz``; each is
    streamed, and memory holds one sample.

    Args:
        path: an archive, or a folder of them.
        recipe: ``frames50`` into ``<protocol>``, or ``frames300`` into ``<protocol>_300``.

    Raises:
        DataError: there is none, or one is damaged or shows nobody in a sample.
        OptionError: the recipe is unknown.
    """
    shape = recipe_of(recipe)
    found = [p for p in ([path] if path.is_file() else sorted(path.rglob("*.npz"))) if p.stem in CTR_GCN]
    if not found:
        raise DataError(f"{path}: none of CTR-GCN's archives here; expected {', '.join(CTR_GCN)} (.npz)")
    written = []
    for file in found:
        dataset, protocol = CTR_GCN[file.stem]
        archive, classes = CtrGcnArchive(file), len(datasets.get(dataset).class_names)
        target = root / dataset / "skeletons" / (protocol if recipe == "frames50" else f"{protocol}_300")
        with staged_folder(target) as stage:
            for source, part in zip(("train", "test"), PARTS, strict=True):
                with (
                    RowWriter(
                        stage / f"{part}_position.npy", (3, RECIPES[recipe], 25, 2), "<f4"
                    ) as positions,
                    RowWriter(stage / f"{part}_label.npy", (), "<i8") as ids,
                ):
                    for row, (sample, label) in enumerate(archive.rows(source)):
                        if not 0 <= label < classes:
                            raise DataError(
                                f"{file}: y_{source} row {row}: label {label}, allowed: 0 to {classes - 1}"
                            )
                        try:
                            positions.append(shape(sample))
                        except DataError as error:
                            raise DataError(f"{file}: x_{source} row {row}: {error}") from error
                        ids.append(label)
            about = {"dataset": dataset, "protocol": target.name, "from": file.name, "samples": archive.sizes}
            (stage / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        written.append(target)
    return written


def _frames_dataset(folder: Path) -> str:
    name = folder.parent.name.removesuffix("_frame50")
    if name not in datasets.names():
        raise DataError(f"{folder}: {name!r} is no data set; known: {', '.join(datasets.names())}")
    return name


def _labels(folder: Path, part: str) -> Path:
    pickled = folder / f"{part}_label.pkl"
    return pickled if pickled.is_file() else folder / f"{part}_label.npy"


def _copy_frames(folder: Path, target: Path, *, link: bool) -> Path:
    with staged_folder(target) as stage:
        for part in PARTS:
            for source in (folder / f"{part}_position.npy", _labels(folder, part)):
                if link:
                    (stage / source.name).symlink_to(source.resolve())
                else:
                    shutil.copyfile(source, stage / source.name)
    return target


def _join_split(folder: Path, root: Path) -> Path:
    """Write one split's arrays as training and test part: seen and unseen test samples in one file."""
    number = folder.name.removeprefix("split_")
    if not number.isdecimal() or int(number) not in OF_SPLIT:
        raise DataError(f"{folder}: allowed: split_1 to split_9")
    dataset, split = OF_SPLIT[int(number)], f"smie_{number}"
    target = root / dataset / "skeletons" / f"zeroshot_{split}"
    known = datasets.get(dataset)
    with staged_folder(target) as stage:
        for part, sources in (("train", ("seen_train",)), ("val", ("seen_test", "unseen"))):
            arrays = [open_positions(folder / f"{s}_data.npy") for s in sources]
            labels = [
                read_labels(folder / f"{s}_label.npy", len(a), len(known.class_names))
                for s, a in zip(sources, arrays, strict=True)
            ]
            with (
                RowWriter(stage / f"{part}_position.npy", arrays[0].shape[1:], "<f4") as positions,
                RowWriter(stage / f"{part}_label.npy", (), "<i8") as ids,
            ):
                for array, label in zip(arrays, labels, strict=True):
                    for row, value in zip(array, label, strict=True):
                        positions.append(np.asarray(row, np.float32))
                        ids.append(int(value))
    return target


def _copy_texts(files: list[Path], root: Path) -> list[Path]:
    """Copy label and context embeddings; descriptions of SMIE are no contexts and stay."""
    forms = {"": ("sbert", "labels"), "_cont": ("sbert", "contexts"), "_clip": ("clip", "labels")}
    written = []
    for file in files:
        stem = file.name.removesuffix("_embeddings.npy")
        dataset = next(
            (n for n in sorted(datasets.names(), key=len, reverse=True) if stem.startswith(n)), None
        )
        form = forms.get(stem.removeprefix(dataset)) if dataset else None
        if dataset is None or form is None:
            continue
        shape, _ = header(file)
        if len(shape) != 2 or shape[0] != len(datasets.get(dataset).class_names):
            raise DataError(f"{file}: shape {shape}, expected a row for every class of {dataset}")
        target = root / dataset / "text" / f"{form[0]}_{form[1]}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(file, partial)
        os.replace(partial, target)
        written.append(target)
    return written
