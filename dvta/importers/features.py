"""Bringing features people already have into the data root; nothing is written if anything is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import read
from dvta.errors import DataError
from dvta.features import FILES, RENAMED, locate
from dvta.files import staged_files, write_json, write_npy
from dvta.skeleton import splits

PURLS_SPLITS = {
    5: ("ntu60", "55/5"), 12: ("ntu60", "48/12"), 20: ("ntu60", "40/20"), 30: ("ntu60", "30/30"),
    10: ("ntu120", "110/10"), 24: ("ntu120", "96/24"), 40: ("ntu120", "80/40"), 60: ("ntu120", "60/60"),
}  # fmt: skip
TEXT_FORMS = {
    "labels": ("*_labels.npy", "lb_*.npy"),
    "contexts": ("*_contexts.npy", "ad_*.npy"),
    "motions": ("*_motions.npy", "md_*.npy"),
    "verbs": ("*_verb.npy", "*_verbs.npy"),
    "nouns": ("*_noun.npy", "*_nouns.npy"),
}
SYNSE_SPLITS = {
    5: ("ntu60", "55/5"),
    12: ("ntu60", "48/12"),
    10: ("ntu120", "110/10"),
    24: ("ntu120", "96/24"),
}


def import_features(kind: str, path: Path, root: Path) -> list[Path]:
    """Copy a known layout into the data root and return the files written.

    Args:
        kind: ``cmu`` (``features/<split>/``, ``text/``, ``skeletons.npz``), ``synse`` (``shift_K_r`` folders, or
            SA-DVAE's ``shift_ntu60_K_r``) or ``dvta`` (``split_K`` folders).
        path: the folder to import.

    Raises:
        DataError: the layout is not there, or its arrays contradict the dataset or split.
    """
    if kind == "cmu":
        found = {
            ("cmu", s.name): s
            for s in sorted((path / "features").glob("*"))
            if s.name in datasets.get("cmu").splits
        }
        visual = "st_gcn"
    else:
        patterns = ("shift_{1}_r", "shift_{0}_{1}_r") if kind == "synse" else ("split_{1}",)
        found = {
            place: folder
            for k, place in SYNSE_SPLITS.items()
            for pattern in patterns
            for folder in sorted(path.rglob(pattern.format(place[0], k)))
            if folder.is_dir()
        }
        visual = "shift_gcn"
    skeletons = [path / "skeletons.npz"] if kind == "cmu" and (path / "skeletons.npz").is_file() else []
    if not found and not skeletons:
        raise DataError(
            f"{path}: no {kind} features here; expected folders of train.npy, ztest.npy and labels"
        )
    with staged_files(root) as (stage, written):
        for (dataset, split), folder in found.items():
            target = stage / dataset / "features" / visual / split.replace("/", "-")
            target.mkdir(parents=True)
            for name in FILES:
                for candidate in (name, RENAMED.get(name, name)):
                    if (folder / f"{candidate}.npy").is_file():
                        shutil.copyfile(folder / f"{candidate}.npy", target / f"{name}.npy")
                        break
        if kind == "cmu" and (found or (path / "classes.txt").is_file()):
            _stage_cmu_text(path, stage)
        for dataset, split in found:
            locate(stage, dataset, split, visual, "sbert", source="real").load()
    for archive in skeletons:
        folder = splits.import_archive(archive, root)
        written += sorted(p for p in folder.iterdir() if p.is_file())
    return written


def import_purls(path: Path, root: Path) -> list[Path]:
    """Bring in PURLS' un-pooled Shift-GCN features and their means; returns the files written.

    Known is ``shift_K_r/{train,test}_feature.npy`` (N, 256, 3, 25) with ``_labels.npy``, (N,) or a
    second row of labels.

    Raises:
        DataError: the layout is not there, or its arrays contradict the dataset or split.
    """
    found = {
        PURLS_SPLITS[k]: f
        for k in PURLS_SPLITS
        for f in sorted(path.rglob(f"shift_{k}_r"))
        if (f / "train_feature.npy").is_file()
    }
    if not found:
        raise DataError(
            f"{path}: no purls features here; expected shift_K_r/train_feature.npy and test_feature.npy"
        )
    with staged_files(root) as (stage, written):
        for (dataset, split), folder in found.items():
            target = stage / dataset / "features" / "shift_gcn" / split.replace("/", "-")
            target.mkdir(parents=True)
            for part, name, label in (("train", "train", "train_label"), ("test", "ztest", "z_label")):
                maps = read(folder / f"{part}_feature.npy", "float", 4)
                if maps.shape[1:] != (256, 3, 25):
                    raise DataError(
                        f"{folder}/{part}_feature.npy: shape {maps.shape}, allowed: (N, 256, 3, 25)"
                    )
                labels = read(folder / f"{part}_labels.npy", "int", (1, 2))
                labels = labels if labels.ndim == 1 else labels[1]
                if len(labels) != len(maps):
                    raise DataError(f"{folder}/{part}_labels.npy: {len(labels)} labels for {len(maps)} rows")
                # PURLS' own loader leaves out samples that are all zero
                kept = maps.reshape(len(maps), -1).any(1)
                maps, labels = maps[kept], labels[kept]
                np.save(target / f"{name}_unpooled.npy", maps.transpose(0, 2, 3, 1).astype(np.float16))
                np.save(target / f"{name}.npy", maps.mean((2, 3)))
                np.save(target / f"{label}.npy", labels)
            locate(stage, dataset, split, "shift_gcn", "sbert", source="real").load()
    return written


def import_text(path: Path, root: Path, dataset: str, encoder: str, match: str = "") -> list[Path]:
    """Bring in text features, (C, Dt) each: labels, and contexts, motions, verbs and nouns where they are.

    Known are ``*_labels.npy``, ``*_contexts.npy``, ``*_motions.npy``, SynSE's ``*_verb.npy`` and
    ``*_noun.npy``, and the ``lb_C.npy``, ``ad_C.npy`` and ``md_C.npy`` of MSF and SA-DVAE. NTU-60 is the first 60 classes of NTU-120 and is written with it.

    Args:
        encoder: the id of the features in specs. match: what a file's name must have in it (``bert``).

    Raises:
        DataError: there are no labels for the dataset, several files fit, or a shape is wrong.
    """
    written: dict[Path, np.ndarray] = {}
    for part, forms in TEXT_FORMS.items():
        fitting = sorted(f for form in forms for f in path.glob(form) if match in f.name)
        files = [f for f in fitting if dataset in f.name] or fitting
        if len(files) > 1 or (part == "labels" and not files):
            names = ", ".join(f.name for f in files) or "none"
            raise DataError(
                f"{path}: one file of {part} of {dataset} is expected ({' or '.join(forms)}), found {names}; "
                "choose with --match"
            )
        for file in files:
            array = read(file, "float", 2)
            for name in ("ntu120", "ntu60") if dataset == "ntu120" else (dataset,):
                count = len(datasets.get(name).class_names)
                if len(array) < count or (name == dataset and len(array) != count):
                    raise DataError(f"{file}: {len(array)} rows, expected {count} ({name})")
                written[Path(name) / "text" / f"{encoder}_{part}.npy"] = array[:count]
    for relative, array in written.items():
        write_npy(root / relative, array)
    return [root / relative for relative in sorted(written)]


def _stage_cmu_text(path: Path, stage: Path) -> None:
    names = (path / "classes.txt").read_text(encoding="utf-8").split("\n")
    if tuple(n for n in names if n) != datasets.get("cmu").class_names:
        raise DataError(f"{path}/classes.txt: not the 34 classes of the catalogue")
    target = stage / "cmu" / "text"
    target.mkdir(parents=True)
    for part in ("labels", "contexts"):
        source = path / "text" / f"{datasets.PACKAGED_TEXT}_{part}.npy"
        if source.is_file():
            shutil.copyfile(source, target / f"sbert_{part}.npy")
    # the shipped texts are by the same model
    packaged = datasets.packaged_text(datasets.get("cmu")) or {}
    for part in ("verbs", "nouns", "parts"):
        np.save(target / f"sbert_{part}.npy", packaged[part])
    write_json(target / "sbert.json", {"model": datasets.PACKAGED_TEXT})
