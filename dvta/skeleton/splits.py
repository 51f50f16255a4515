"""Prepared skeletons of a zero-shot split: training, unseen and generalised test samples."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dvta import datasets
from dvta.arrays import file_digest, fresh_digest, stream_header
from dvta.datasets import Dataset
from dvta.errors import DataChangedError, MissingSkeletonsError
from dvta.skeleton.arrays import label_path, open_positions, read_labels
from dvta.skeleton.clips import part_by_clip
from dvta.skeleton.lines import SkeletonError
from dvta.skeleton.preprocess import CLEAN, WINDOWS

#: data prepared from clips are parted by clip, the others come as ``train`` and ``val``
CLIPS = "clips"


@dataclasses.dataclass(frozen=True)
class Samples:
    """Some rows of a position array, read when asked for.

    Attributes:
        positions: (N, 3, T, 25, M), usually memory-mapped.
        rows: (n,) int64 rows of ``positions``.
        labels: (n,) int64 global class ids.
        path: the file, for messages.
    """

    positions: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    path: Path

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, 3, T, 25, M)."""
        return (len(self.rows), *self.positions.shape[1:])

    def where(self, keep: np.ndarray) -> Samples:
        """Return those that a mask (n,) keeps."""
        return dataclasses.replace(self, rows=self.rows[keep], labels=self.labels[keep])

    def batch(self, indices: np.ndarray | slice) -> np.ndarray:
        """Return (B, 3, T, 25, M) float32 of the samples with these indices (0 to n - 1).

        Raises:
            SkeletonError: a value is not finite.
        """
        rows = self.rows[indices]
        # ascending reads keep a memory-mapped file's pages sequential
        order = np.argsort(rows, kind="stable")
        values = np.empty((len(rows), *self.positions.shape[1:]), np.float32)
        values[order] = self.positions[rows[order]]
        finite = np.isfinite(values).reshape(len(rows), -1).all(1)
        if not finite.all():
            raise SkeletonError(
                self.path, f"row {int(rows[np.argmin(finite)])} has a value that is not finite"
            )
        return values


@dataclasses.dataclass(frozen=True)
class SkeletonSplit:
    """The samples of one split; the same parts as a feature folder.

    Attributes:
        dataset, split, protocol: names.
        digest: SHA-256 hex of the content and the partition.
        train: seen classes, training part.
        ztest: unseen classes, test part (all of their windows where data are parted by clip).
        gtest: all classes, test part.
        seen, unseen: global ids, ascending.
        classes: the number of classes C.
        files: position file -> the bytes before its numbers, and its SHA-256 hex.
    """

    dataset: str
    split: str
    protocol: str
    digest: str
    train: Samples
    ztest: Samples
    gtest: Samples
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    classes: int
    files: Mapping[str, tuple[bytes, str]]

    def seen_test(self) -> Samples:
        """Return the test samples of the seen classes."""
        return self.gtest.where(np.isin(self.gtest.labels, self.seen))

    def verify(self) -> None:
        """Digest the positions as they are read now.

        Raises:
            DataChangedError: they are not those that the split was opened with.
        """
        for samples in {id(s.positions): s for s in (self.train, self.gtest)}.values():
            header, planned = self.files[str(samples.path)]
            found = _positions_digest(header, samples.positions)
            if found != planned:
                raise DataChangedError(samples.path, planned, found)


def load(
    root: Path,
    dataset: str,
    split: str,
    *,
    protocol: str | None = None,
    unseen: tuple[str | int, ...] | None = None,
) -> SkeletonSplit:
    """Open the prepared skeletons ``<root>/<dataset>/skeletons/<protocol>`` for a split.

    Args:
        root: the data root.
        dataset, split: names of the catalogue.
        protocol: ``xsub``, ``xview``, ``xsetup`` or ``clips``; None takes what was cut for this very
            split (``zeroshot_<split>``), else the only one, else ``xsub``.
        unseen: the unseen classes, by name or id, of a split that the dataset itself does not name.

    Raises:
        DataError: nothing is prepared, or the arrays contradict each other or the catalogue.
    """
    known = datasets.get(dataset, root)
    parts = known.split(split, unseen)
    folder = _folder(root, known, split, protocol)
    classes = len(known.class_names)
    seen, held = list(parts.seen), list(parts.unseen)
    if folder.name == CLIPS:
        path, positions, labels = _open(folder, "all", classes)
        clips = np.array(
            [name.rpartition(":")[0] for name in read_names(folder / "all_name.txt", len(labels))]
        )
        test = part_by_clip(clips, labels, seen) | np.isin(labels, held)
        train_of, test_of = (path, positions, labels, ~test), (path, positions, labels, test)
        files = [path]
    else:
        train_path, train_positions, train_label = _open(folder, "train", classes)
        path, positions, labels = _open(folder, "val", classes)
        train_of = (train_path, train_positions, train_label, np.isin(train_label, seen))
        test_of = (path, positions, labels, np.ones(len(labels), bool))
        files = [train_path, path]
    content = hashlib.sha256(repr((dataset, folder.name, seen, held)).encode())
    for file in files:
        for each in (file, label_path(folder, file.name.split("_")[0])):
            content.update(file_digest(each).encode())
    headers = {str(file): (_before_numbers(file), file_digest(file)) for file in files}
    if folder.name == CLIPS:
        content.update("\n".join(clips.tolist()).encode())
    unseen_of = (*test_of[:3], test_of[3] & np.isin(test_of[2], held))
    train, ztest, gtest = _samples(*train_of), _samples(*unseen_of), _samples(*test_of)
    for name, samples in (("training samples of seen", train), ("test samples of unseen", ztest)):
        if not len(samples):
            raise SkeletonError(folder, f"has no {name} classes of split {split}")
    return SkeletonSplit(
        dataset=dataset,
        split=split,
        protocol=folder.name,
        digest=content.hexdigest(),
        train=train,
        ztest=ztest,
        gtest=gtest,
        seen=parts.seen,
        unseen=parts.unseen,
        classes=classes,
        files=headers,
    )


def recipe_name(protocol: str) -> str:
    """Return the recipe by which the skeletons of a protocol's folder were prepared."""
    if protocol == CLIPS:
        return WINDOWS
    if protocol.endswith(f"_{CLEAN}"):
        return CLEAN
    return "frames300" if protocol.endswith("_300") else "frames50"


def available(root: Path, dataset: str) -> list[str]:
    """Return the protocols for which skeletons of a data set are prepared."""
    folder = root / dataset / "skeletons"
    return sorted(p.name for p in folder.glob("*") if any(p.glob("*_position.npy")))


def read_names(path: Path, samples: int) -> list[str]:
    """Read the sample names, one a line.

    Raises:
        SkeletonError: the file is missing or has another number of lines.
    """
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SkeletonError(path, f"cannot be read: {error}") from error
    if len(names) != samples:
        raise SkeletonError(path, f"{len(names)} names for {samples} samples")
    return names


def _folder(root: Path, dataset: Dataset, split: str, protocol: str | None) -> Path:
    found = available(root, dataset.name)
    own = f"zeroshot_{split.replace('/', '-')}"
    general = [name for name in found if not name.startswith("zeroshot_")]
    chosen = protocol or (own if own in found else general[0] if len(general) == 1 else "xsub")
    if chosen not in found:
        where = root / dataset.name / "skeletons" / chosen
        raise MissingSkeletonsError(
            f"{where}: no prepared skeletons (there are: {', '.join(found) or 'none'}); "
            f"to get {dataset.name}: {dataset.where}",
            dataset.name,
        )
    return root / dataset.name / "skeletons" / chosen


def _open(folder: Path, part: str, classes: int) -> tuple[Path, np.ndarray, np.ndarray]:
    path = folder / f"{part}_position.npy"
    positions = open_positions(path)
    labels = label_path(folder, part)
    planned = file_digest(labels)
    found = read_labels(labels, len(positions), classes)
    if (now := fresh_digest(labels)) != planned:
        raise DataChangedError(labels, planned, now)
    return path, positions, found


def _samples(path: Path, positions: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> Samples:
    rows = np.flatnonzero(mask)
    return Samples(positions, rows, labels[rows], path)


def _before_numbers(path: Path) -> bytes:
    with path.open("rb") as file:
        start = stream_header(file)[-1]
        file.seek(0)
        return file.read(start)


def _positions_digest(header: bytes, positions: np.ndarray) -> str:
    """Return the SHA-256 hex of a position file from its header and the array that is in use."""
    found = hashlib.sha256(header)
    flat = positions.ravel(order="K")
    for start in range(0, len(flat), 1 << 22):
        found.update(np.ascontiguousarray(flat[start : start + (1 << 22)]).data)
    return found.hexdigest()
