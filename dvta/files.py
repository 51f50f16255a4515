"""Writing files and folders so that they appear complete or not at all."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dvta.errors import DataError

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


def check_id(option: str, name: str) -> None:
    """Refuse a name that a folder or file cannot have, or that leads elsewhere.

    Raises:
        DataError: so it is; the message begins with ``option``.
    """
    if not _ID.fullmatch(name) or ".." in name:
        raise DataError(
            f"{option}: {name[:80]!r} is no name of a folder or file; allowed: at most 64 letters, digits and ._-, "
            "a letter or digit first"
        )


def write_file(path: Path, content: bytes) -> None:
    """Write a file under another name and move it to its place; folders are made."""
    with replaced_file(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as a readable JSON file."""
    write_file(path, (json.dumps(values, indent=1) + "\n").encode())


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write an array as a ``.npy`` file."""
    with replaced_file(path) as partial, partial.open("wb") as file:
        np.save(file, array)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to its place."""
    with replaced_file(target) as partial:
        shutil.copyfile(source, partial)


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``path`` at the end, or vanishes on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # two processes may write the same file
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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


@contextmanager
def staged_files(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Give an empty folder whose files are moved below ``root`` at the end, each one atomically.

    Yields:
        The folder, and a list that holds the files written once the block has ended. Nothing is
        written where the block raises.
    """
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as staging:
        stage = Path(staging)
        yield stage, written
        for source in sorted(p for p in stage.rglob("*") if p.is_file()):
            target = root / source.relative_to(stage)
            copy_file(source, target)
            written.append(target)


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
