"""Reading ``.npz`` archives that somebody else wrote: members checked before anything is unpacked."""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvta.arrays import NUMBERS, Header, check_header, stream_header
from dvta.errors import DataError
from dvta.limits import open_regular

DAMAGE = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class Archive:
    """An ``.npz`` file whose members are read one by one, each after its header was checked.

    Attributes:
        path: the file.
        members: the names of its arrays.

    Raises:
        DataError: it is missing, no regular file, or no archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as archive:
            names = archive.namelist()
            twice = {n for n in names if names.count(n) > 1} if len(names) < 1000 else set()
        if len(names) >= 1000 or twice:
            what = f"{len(names)} members" if not twice else f"{sorted(twice)[0]} twice"
            raise DataError(f"{path}: has {what}; an archive of arrays has fewer, each once")
        self.members = [n.removesuffix(".npy") for n in names if n.endswith(".npy")]

    def header(self, member: str, kinds: str = NUMBERS) -> Header:
        """Return shape and type of a member, after comparing its header with its size.

        Raises:
            DataError: there is no such member, or :func:`dvta.arrays.check_header` refuses it.
        """
        with self._opened() as archive:
            return self._open(archive, member, kinds)[1]

    def read(self, member: str, kinds: str = NUMBERS) -> np.ndarray:
        """Return a member as it is.

        Raises:
            DataError: as :meth:`header` says, or the data are damaged.
        """
        with self._opened() as archive:
            self._open(archive, member, kinds)
            with archive.open(f"{member}.npy") as file:
                return np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-any-return]

    def rows(self, member: str) -> Iterator[np.ndarray]:
        """Yield the rows of a member of numbers; memory holds one.

        Raises:
            DataError: as :meth:`header` says, or the data are damaged.
        """
        with self._opened() as archive:
            file, (shape, dtype), fortran = self._open(archive, member, NUMBERS)
            if fortran and len(shape) > 1:
                yield from self.read(member)
                return
            size = dtype.itemsize * math.prod(shape[1:])
            for _ in range(shape[0]):
                content = file.read(size)
                if len(content) != size:
                    raise DataError(f"{self.path}: {member} is cut off")
                yield np.frombuffer(content, dtype).reshape(shape[1:])

    def _open(self, archive: zipfile.ZipFile, member: str, kinds: str) -> tuple[Any, Header, bool]:
        if member not in self.members:
            raise DataError(
                f"{self.path}: has no {member}; it has {', '.join(self.members[:10]) or 'nothing'}"
            )
        info = archive.getinfo(f"{member}.npy")
        file = archive.open(info)
        shape, dtype, fortran, start = stream_header(file)
        check_header(f"{self.path}: {member}", (shape, dtype), start, info.file_size, kinds)
        # what deflate can make of the stored bytes: more is a forged size
        if info.file_size > 1100 * max(info.compress_size, 1) + start:
            raise DataError(f"{self.path}: {member} cannot unpack to {info.file_size} bytes")
        return file, (shape, dtype), fortran

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the file; what zip, deflate and array headers raise on damage becomes a DataError."""
        try:
            with open_regular(self.path) as file, zipfile.ZipFile(file) as archive:
                yield archive
        except DAMAGE as error:
            reason = str(error)[:200] or type(error).__name__
            raise DataError(f"{self.path}: not a readable .npz archive ({reason})") from error
