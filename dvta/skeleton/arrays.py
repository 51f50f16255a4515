"""Skeletons as arrays: position files, CTR-GCN archives, label files; writers that finish or leave nothing."""

from __future__ import annotations

import io
import math
import os
import pickle
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dvta.arrays import header, read, stream_header
from dvta.errors import DataError
from dvta.skeleton.lines import SkeletonError

_MAX_PICKLE_BYTES = 1 << 26


def open_positions(path: Path | str) -> np.ndarray:
    """Map a position file, (N, 3, T, 25, M) of any float type with M one or two; nothing is read yet.

    Raises:
        DataError: the file is missing, holds objects, contradicts its header or has another shape.
    """
    path = Path(path)
    shape, dtype = header(path)
    if len(shape) != 5 or shape[1] != 3 or shape[3] != 25 or shape[4] not in (1, 2) or shape[2] < 1:
        raise SkeletonError(path, f"shape {shape}, allowed: (samples, 3, frames, 25, 1 or 2)")
    if dtype.kind != "f":
        raise SkeletonError(path, f"holds {dtype}, allowed: floating numbers")
    if shape[0] == 0:
        return np.zeros(shape, dtype)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise SkeletonError(path, f"cannot be mapped: {error}") from error


def read_labels(path: Path | str, samples: int, classes: int | None = None) -> np.ndarray:
    """Read class ids from 0, (N,) int64, of a ``.npy`` file ((N,) or (N, 1)) or a ``.pkl`` of (names, labels).

    Raises:
        DataError: the file is missing or unsafe, has another length, or an id is out of range.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        labels = np.array(_plain_pickle(path), dtype=np.int64)
    else:
        labels = read(path, "int", (1, 2))
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (samples,):
        raise SkeletonError(path, f"labels of shape {labels.shape} for {samples} samples")
    if samples and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        wrong = int(labels.min() if labels.min() < 0 else labels.max())
        most = "" if classes is None else f" to {classes - 1}"
        raise SkeletonError(path, f"label {wrong}, allowed: 0{most}")
    return labels


class CtrGcnArchive:
    """CTR-GCN's ``.npz``: ``x_train`` (N, 300, 150) and one-hot ``y_train``, likewise ``x_test``; streamed.

    Raises:
        SkeletonError: the file is missing, damaged, or has other members or shapes.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.sizes: dict[str, int] = {}
        for part in ("train", "test"):
            x, y = self._shape(f"x_{part}"), self._shape(f"y_{part}")
            if len(x) != 3 or x[2] != 150 or x[1] < 1 or len(y) not in (1, 2) or y[0] != x[0]:
                raise SkeletonError(
                    self.path,
                    f"x_{part} {x} and y_{part} {y}, allowed: (N, frames, 150) and (N, classes) or (N,)",
                )
            self.sizes[part] = x[0]

    def rows(self, part: str) -> Iterator[tuple[np.ndarray, int]]:
        """Yield ((F, 2, 25, 3) float32 positions, class id) of the samples of ``train`` or ``test``."""
        labels = np.array([int(y.argmax()) if y.ndim else int(y) for y in self._stream(f"y_{part}")])
        for x, label in zip(self._stream(f"x_{part}"), labels, strict=True):
            positions = x.reshape(len(x), 2, 25, 3).astype(np.float32)
            if not np.isfinite(positions).all():
                raise SkeletonError(self.path, f"x_{part} has a value that is not finite")
            yield positions, int(label)

    def _shape(self, member: str) -> tuple[int, ...]:
        with _damage_named(self.path), zipfile.ZipFile(self.path) as archive:
            return self._open(archive, member)[1]

    def _open(self, archive: zipfile.ZipFile, member: str) -> tuple[Any, tuple[int, ...], np.dtype]:
        names = archive.namelist()
        if f"{member}.npy" not in names:
            raise SkeletonError(self.path, f"has no {member}; it has {', '.join(names[:10]) or 'nothing'}")
        info = archive.getinfo(f"{member}.npy")
        file = archive.open(info)
        shape, dtype, start = stream_header(file)
        if dtype.hasobject or dtype.kind not in "fiu":
            raise SkeletonError(self.path, f"{member} holds {dtype}, allowed: numbers")
        if start + dtype.itemsize * math.prod(shape) != info.file_size:
            raise SkeletonError(self.path, f"the header of {member} promises shape {shape}, the data differ")
        return file, shape, dtype

    def _stream(self, member: str) -> Iterator[np.ndarray]:
        with _damage_named(self.path), zipfile.ZipFile(self.path) as archive:
            file, shape, dtype = self._open(archive, member)
            size = dtype.itemsize * math.prod(shape[1:])
            for _ in range(shape[0]):
                content = file.read(size)
                if len(content) != size:
                    raise SkeletonError(self.path, f"{member} is cut off")
                yield np.frombuffer(content, dtype).reshape(shape[1:])


class RowWriter:
    """Writes an array row by row to a ``.npy`` file whose length is known only at the end.

    Memory holds one row. The header is rewritten on closing; NumPy pads it so that any length fits.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype, self.count = shape, np.dtype(dtype), 0
        self._file = path.open("wb")
        self._header()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.seek(0)
        self._header()
        self._file.close()

    def append(self, row: np.ndarray | int) -> None:
        """Write one row of the declared shape."""
        row = np.asarray(row, self.dtype)
        if row.shape != self.shape:
            raise ValueError(f"a row of shape {row.shape}, expected {self.shape}")
        self._file.write(np.ascontiguousarray(row).tobytes())
        self.count += 1

    def _header(self) -> None:
        values = {
            "descr": npy.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.count, *self.shape),
        }
        buffer = io.BytesIO()
        npy.write_array_header_1_0(buffer, values)
        self._file.write(buffer.getvalue())


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``target`` at the end, or vanishes on an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    try:
        yield stage
        stage.chmod(0o755)
        if target.exists():
            os.replace(target, old)
        os.replace(stage, target)
    finally:
        for leftover in (stage, old):
            shutil.rmtree(leftover, ignore_errors=True)


class _Plain(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Loads tuples, lists, texts and numbers; any global, and so any code, is refused.

    The Python implementation: the C one allocates gigabytes for a single large memo number.
    """

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(
            f"it wants to load {module}.{name}; only lists of names and numbers are allowed"
        )


def _plain_pickle(path: Path) -> list[int]:
    """Return the labels of a pickled (names, labels)."""
    try:
        size = path.stat().st_size
        if size > _MAX_PICKLE_BYTES:
            raise SkeletonError(path, f"{size} bytes are too many for a label file")
        content = _Plain(io.BytesIO(path.read_bytes())).load()
    except DataError:
        raise
    except Exception as error:  # a mangled pickle raises almost anything
        raise SkeletonError(path, f"not a safe label pickle ({error})") from error
    if not (isinstance(content, tuple | list) and len(content) == 2 and isinstance(content[1], Iterable)):
        raise SkeletonError(path, "expected a pickle of (names, labels)")
    labels = list(content[1])
    if not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise SkeletonError(path, "expected a pickle of (names, labels) with whole numbers as labels")
    return labels


class _damage_named:
    """Turns what zip files, deflate and array headers raise on damage into a :class:`SkeletonError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        damage = (
            *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError),
            *(zipfile.BadZipFile, zlib.error),
        )
        if isinstance(error, damage) and not isinstance(error, DataError):
            raise SkeletonError(self.path, f"not a readable .npz archive ({error})") from error
