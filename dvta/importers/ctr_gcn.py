"""CTR-GCN's archives of NTU skeletons, streamed into the data root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.archives import Archive
from dvta.arrays import as_float32
from dvta.errors import DataError
from dvta.files import RowWriter, write_json
from dvta.importers.staging import Imported
from dvta.labels import as_ids
from dvta.skeleton.preprocess import RECIPES, recipe_of

PARTS = ("train", "val")
CTR_GCN = {
    "NTU60_CS": ("ntu60", "xsub"),
    "NTU60_CV": ("ntu60", "xview"),
    "NTU120_CSub": ("ntu120", "xsub"),
    "NTU120_CSet": ("ntu120", "xsetup"),
}


def import_ctr_gcn(path: Path, root: Path, *, recipe: str = "frames50") -> Imported:
    """Bring in CTR-GCN's archives.

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
    done = Imported()
    for file in found:
        dataset, protocol = CTR_GCN[file.stem]
        archive, classes = CtrGcnArchive(file), len(datasets.get(dataset).class_names)
        target = root / dataset / "skeletons" / (protocol if recipe == "frames50" else f"{protocol}_300")
        with done.folder(target) as stage:
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
            write_json(stage / "about.json", about)
    return done


class CtrGcnArchive:
    """CTR-GCN's ``.npz``: ``x_train`` (N, 300, 150) and one-hot ``y_train``, likewise ``x_test``; streamed.

    Raises:
        DataError: the file is missing, damaged, or has other members or shapes.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._archive = Archive(self.path)
        self.sizes: dict[str, int] = {}
        for part in ("train", "test"):
            x, y = self._archive.header(f"x_{part}")[0], self._archive.header(f"y_{part}")[0]
            if len(x) != 3 or x[2] != 150 or x[1] < 1 or len(y) not in (1, 2) or y[0] != x[0]:
                raise DataError(
                    f"{self.path}: x_{part} {x} and y_{part} {y}, allowed: (N, frames, 150) and (N, classes) or (N,)"
                )
            self.sizes[part] = x[0]

    def rows(self, part: str) -> Iterator[tuple[np.ndarray, int]]:
        """Yield ((F, 2, 25, 3) float32 positions, class id) of the samples of ``train`` or ``test``."""
        labels = as_ids(f"{self.path}: y_{part}", self._archive.read(f"y_{part}"))
        for row, (x, label) in enumerate(zip(self._archive.rows(f"x_{part}"), labels, strict=True)):
            positions = as_float32(x.reshape(len(x), 2, 25, 3))
            if not np.isfinite(positions).all():
                raise DataError(f"{self.path}: x_{part} row {row} has a value that is not finite")
            yield positions, int(label)
