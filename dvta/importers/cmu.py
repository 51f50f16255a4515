"""CMU's ``skeletons.npz``, brought into the data root."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.archives import Archive
from dvta.arrays import NAMES, NUMBERS, as_float32
from dvta.errors import DataError
from dvta.files import RowWriter, staged_folder, write_json
from dvta.labels import as_ids, check_range
from dvta.limits import limits
from dvta.skeleton.splits import CLIPS


def import_cmu_skeletons(path: Path, root: Path) -> Path:
    """Bring CMU's ``skeletons.npz`` into the data root; returns the folder written.

    The archive holds ``x`` (N, 50, 25, 3), ``y``, ``clip`` and ``start``, each (N,).

    Raises:
        DataError: the archive is missing, damaged, or contradicts the catalogue.
    """
    archive = Archive(path)
    shape = archive.header("x")[0]
    if len(shape) != 4 or shape[2:] != (25, 3) or not shape[0] or not shape[1]:
        raise DataError(f"{path}: x {shape}; allowed: (N, frames, 25, 3), with one sample and frame at least")
    for name, found in (("max_samples", shape[0]), ("max_frames", shape[1])):
        if wrong := limits().exceeded(name, found, name.removeprefix("max_")):
            raise DataError(f"{path}: x: {wrong}")
    labels = as_ids(f"{path}: y", archive.read("y"))
    names = _names(path, archive)
    if not len(labels) == len(names) == shape[0]:
        raise DataError(
            f"{path}: {len(labels)} labels in y and {len(names)} clips for {shape[0]} samples in x"
        )
    check_range(f"{path}: y", labels, len(datasets.get("cmu").class_names))
    target = root / "cmu" / "skeletons" / CLIPS
    with staged_folder(target) as stage:
        with (
            RowWriter(stage / "all_position.npy", (3, shape[1], 25, 1), "<f4") as positions,
            RowWriter(stage / "all_label.npy", (), "<i8") as ids,
        ):
            for row, (sample, label) in enumerate(zip(archive.rows("x"), labels, strict=True)):
                written = as_float32(sample)
                if not np.isfinite(written).all():
                    raise DataError(f"{path}: x row {row} has a value that is not finite as float32")
                positions.append(written.transpose(2, 0, 1)[..., None])
                ids.append(int(label))
        (stage / "all_name.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
        about = {"dataset": "cmu", "protocol": CLIPS, "from": path.name, "samples": {"all": len(labels)}}
        write_json(stage / "about.json", about)
    return target


def _names(path: Path, archive: Archive) -> list[str]:
    """Return the samples' names, ``clip:first frame``, one line each."""
    clips, starts = archive.read("clip", NAMES), archive.read("start", NUMBERS)
    if clips.ndim != 1 or starts.ndim != 1 or len(clips) != len(starts):
        raise DataError(f"{path}: clip {clips.shape} and start {starts.shape}; allowed: (N,) and (N,)")
    wrong = [c for c in clips.tolist() if not c.strip() or len(c.splitlines()) != 1]
    if wrong:
        raise DataError(f"{path}: clip {wrong[0]!r} is no name of one line")
    return [f"{c}:{int(s)}" for c, s in zip(clips, as_ids(f"{path}: start", starts), strict=True)]
