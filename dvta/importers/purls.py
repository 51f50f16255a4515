"""PURLS' un-pooled features, brought into the data root."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import read
from dvta.errors import DataError
from dvta.feature_files import check_arrays, feature_folder
from dvta.importers.features import SYNSE_SPLITS
from dvta.importers.staging import Imported, staged_import

PURLS_SPLITS = {
    **SYNSE_SPLITS,
    20: ("ntu60", "40/20"),
    30: ("ntu60", "30/30"),
    40: ("ntu120", "80/40"),
    60: ("ntu120", "60/60"),
}


def import_purls(path: Path, root: Path) -> Imported:
    """Bring in PURLS' un-pooled Shift-GCN features and their means.

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
    done = Imported()
    with staged_import(root, done) as stage:
        for (dataset, split), folder in found.items():
            target = feature_folder(stage, dataset, "shift_gcn", split)
            target.mkdir(parents=True)
            pooled: dict[str, np.ndarray] = {}
            names: dict[str, str] = {}
            for part, name, label in (("train", "train", "train_label"), ("test", "ztest", "z_label")):
                maps, pooled[label] = _part(folder, part)
                pooled[name] = maps.mean((2, 3))
                names |= {name: f"{folder}/{part}_feature.npy", label: f"{folder}/{part}_labels.npy"}
                np.save(target / f"{name}_unpooled.npy", maps.transpose(0, 2, 3, 1).astype(np.float16))
            known = datasets.get(dataset)
            check_arrays(pooled, names, known, known.split(split))
            for name, array in pooled.items():
                np.save(target / f"{name}.npy", array)
    return done


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 256, 3, 25) feature maps and their labels."""
    maps = read(folder / f"{part}_feature.npy", "float", 4)
    if maps.shape[1:] != (256, 3, 25):
        raise DataError(f"{folder}/{part}_feature.npy: shape {maps.shape}, allowed: (N, 256, 3, 25)")
    labels = read(folder / f"{part}_labels.npy", "int", (1, 2))
    labels = labels if labels.ndim == 1 else labels[1] if len(labels) == 2 else labels[:, 0]
    if len(labels) != len(maps):
        raise DataError(f"{folder}/{part}_labels.npy: {len(labels)} labels for {len(maps)} rows")
    # PURLS' own loader leaves out samples that are all zero
    kept = maps.reshape(len(maps), -1).any(1)
    return maps[kept], labels[kept]
