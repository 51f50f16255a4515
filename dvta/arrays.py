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
from dvta.limits import limits, open_regular

Header = tuple[tuple[int, ...], np.dtype]
NUMBERS, NAMES = "fiu", "U"


def header(path: Path, kinds: str = NUMBERS) -> Header:
    """Return shape and type of a ``.npy`` file, after comparing its header with its size.

    Args:
        path: the file.
        kinds: the allowed kinds of NumPy types; numbers by default.

    Raises:
        DataError: the file is missing, is no regular file, is no array, holds objects, is larger than
            the limits allow, or is shorter or longer than promised.
    """
    try:
        with open_regular(path) as file:
            shape, dtype, _, start = stream_header(file)
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a NumPy array file ({error})") from error
    check_header(str(path), (shape, dtype), start, size, kinds)
    return shape, dtype


def check_header(place: str, found: Header, start: int, size: int, kinds: str = NUMBERS) -> None:
    """Refuse an array whose type is not wanted, or whose header of ``start`` bytes does not fit ``size`` bytes.

    Raises:
        DataError: so it is; the message begins with ``place``.
    """
    shape, dtype = found
    if dtype.hasobject:
        raise DataError(
            f"{place}: holds Python objects (objects are never loaded); write it again as numbers or text, such as "
            "np.save(file, np.array(values.tolist()))"
        )
    too_wide = dtype.kind in NUMBERS and dtype.itemsize > 8
    if dtype.kind not in kinds or too_wide or dtype.itemsize == 0:
        allowed = " or ".join(["numbers"] * (kinds != NAMES) + ["text"] * (NAMES in kinds))
        raise DataError(f"{place}: holds {dtype}, allowed: {allowed}")
    promised = start + dtype.itemsize * math.prod(shape)
    if promised != size:
        raise DataError(
            f"{place}: its header promises shape {shape} ({promised} bytes), the file has {size} bytes"
        )
    if max(shape, default=0) >= 2**62:
        raise DataError(f"{place}: shape {shape} is impossible")
    wrong = limits().exceeded("max_array_bytes", promised, "bytes in one array")
    if wrong:
        raise DataError(f"{place}: {wrong}")


def file_digest(path: Path) -> str:
    """Return the SHA-256 hex of a file; an unchanged file is read once a process.

    Raises:
        DataError: it cannot be read.
    """
    try:
        known = path.stat()
        # a rewrite may keep size and time of modification, but not the time of change
        return _file_digest(path, known.st_size, known.st_mtime_ns, known.st_ctime_ns, known.st_ino)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, *_identity: int) -> str:
    return fresh_digest(path)


def fresh_digest(path: Path) -> str:
    """Return the SHA-256 hex of a file as it is now."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def stream_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Read an array's header from an open file: shape, type, Fortran order, number of header bytes.

    Raises:
        ValueError: there is no readable header.
    """
    try:
        version = npy.read_magic(file)
        parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = parse(file)
    except (EOFError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError, TokenError) as error:
        raise ValueError(str(error)[:200]) from error
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"impossible shape {str(shape)[:200]}")
    return tuple(shape), dtype, bool(fortran), file.tell()


def load(path: Path, kinds: str = NUMBERS) -> np.ndarray:
    """Read an array of any shape.

    Raises:
        DataError: as :func:`header` says, or the file ends early.
    """
    return load_digested(path, kinds)[0]


def load_digested(path: Path, kinds: str = NUMBERS) -> tuple[np.ndarray, str]:
    """Read an array of any shape, and the SHA-256 hex of the very bytes it was made of.

    Raises:
        DataError: as :func:`header` says, or the file ends early.
    """
    header(path, kinds)
    try:
        with open_regular(path) as file:
            shape, dtype, fortran, start = stream_header(file)
            file.seek(0)
            content = bytearray(file.read())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a NumPy array file ({error})") from error
    check_header(str(path), (shape, dtype), start, len(content), kinds)
    flat = np.frombuffer(content, dtype, math.prod(shape), start) if math.prod(shape) else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C"), hashlib.sha256(content).hexdigest()


def read(path: Path, kind: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    """Read an array like :func:`read_digested`, without its digest."""
    return read_digested(path, kind, ndim)[0]


def read_digested(path: Path, kind: str, ndim: int | tuple[int, ...]) -> tuple[np.ndarray, str]:
    """Read an array of finite numbers, and the SHA-256 hex of the very bytes it was made of.

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
    array, sha256 = load_digested(path)
    if kind == "int":
        return np.asarray(array, dtype=np.int64), sha256
    return finite(str(path), array), sha256


def finite(place: str, array: np.ndarray) -> np.ndarray:
    """Return an array as float32 in C order.

    Raises:
        DataError: it holds no numbers, or a value is not finite; the message begins with ``place``.
    """
    if array.dtype.kind not in NUMBERS:
        raise DataError(f"{place}: holds {array.dtype}, allowed: numbers")
    array = as_float32(array)
    if array.size and not np.isfinite(array).all():
        bad = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(1)))
        raise DataError(f"{place}: row {bad} has a value that is not finite")
    return array


def as_float32(array: np.ndarray) -> np.ndarray:
    """Return an array of numbers as float32 in C order; what float32 cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


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
