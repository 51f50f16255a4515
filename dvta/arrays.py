"""Reading ``.npy`` files that somebody else wrote: checked before anything is allocated."""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
from numpy.lib import format as npy

from dvta.errors import DataError


def header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of a ``.npy`` file of numbers, after comparing its header with its size.

    Raises:
        DataError: the file is missing, is no array, holds objects, or is shorter or longer than promised.
    """
    try:
        with path.open("rb") as file:
            shape, dtype, start = stream_header(file)
            size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a NumPy array file ({error})") from error
    if dtype.hasobject or dtype.kind not in "fiu":
        raise DataError(f"{path}: holds {dtype}, allowed: numbers (objects are never loaded)")
    promised = start + dtype.itemsize * math.prod(shape)
    if promised != size:
        raise DataError(
            f"{path}: its header promises shape {shape} ({promised} bytes), the file has {size} bytes"
        )
    return shape, dtype


def file_digest(path: Path) -> str:
    """Return the SHA-256 hex of a file; an unchanged file is read once a process.

    Raises:
        DataError: it cannot be read.
    """
    try:
        known = path.stat()
        return _file_digest(path, known.st_size, known.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stream_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int]:
    """Read an array's header from an open file: shape, type and the number of header bytes.

    Raises:
        ValueError: there is no readable header.
    """
    try:
        version = npy.read_magic(file)
        parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = parse(file)
    except (EOFError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError, TokenError) as error:
        raise ValueError(str(error)) from error
    if any(n < 0 for n in shape):
        raise ValueError(f"negative shape {shape}")
    return tuple(int(n) for n in shape), dtype, file.tell()


def read(path: Path, kind: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    """Read an array of finite numbers.

    Args:
        path: a ``.npy`` file.
        kind: ``float`` (returned as float32) or ``int`` (returned as int64).
        ndim: the allowed numbers of axes.

    Raises:
        DataError: the file is missing, is no array, holds objects, or has another size, shape or type.
    """
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    shape, dtype = header(path)
    if kind == "int" and dtype.kind == "f":
        raise DataError(f"{path}: holds {dtype}, allowed: {kind} numbers")
    if len(shape) not in allowed:
        raise DataError(f"{path}: shape {shape}, allowed: {' or '.join(map(str, allowed))} axes")
    array = np.load(path, allow_pickle=False)
    if kind == "int":
        return np.asarray(array, dtype=np.int64)
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        bad = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(1)))
        raise DataError(f"{path}: row {bad} has a value that is not finite")
    return array


def digest(*parts: np.ndarray | str) -> str:
    """Return the SHA-256 hex of arrays (type, shape and content) and texts."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(f"text {len(part)} {part}".encode())
        else:
            found.update(f"{part.dtype.str} {part.shape} ".encode())
            found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()
