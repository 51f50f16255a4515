"""Reading pickles that somebody else wrote: lists, texts, numbers and arrays, and nothing that runs code."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from dvta.errors import DataError
from dvta.limits import limits, open_regular

MAX_LABEL_BYTES = 1 << 24


def read_pickle(path: Path, max_bytes: int = MAX_LABEL_BYTES, what: str = "pickle", start: int = 0) -> Any:
    """Return what a pickle of lists, tuples, mappings, texts, numbers and NumPy arrays holds.

    Nothing is imported or called: arrays are rebuilt here, from their type, shape and bytes; one of
    objects becomes the list of them.

    Args:
        max_bytes: of the file. what: what the message calls it. start: where in the file the pickle begins.

    Raises:
        DataError: the file is missing, too large, damaged, nested too deeply, or wants anything else.
    """
    with open_regular(path) as file:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataError(f"{path}: {size:,} bytes; allowed: at most {max_bytes:,}")
        file.seek(start)
        try:
            content = _Plain(_Bounded(file, size - start)).load()
        except Exception as error:  # a mangled pickle raises almost anything
            reason = str(error)[:200] or type(error).__name__
            raise DataError(f"{path}: not a safe {what} ({reason})") from error
    _check_depth(path, content)
    try:
        return _finished(content, {})
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: not a safe {what} ({error})") from error


def _check_depth(path: Path, content: Any) -> None:
    """Refuse values nested so deeply that printing or comparing them would end the process."""
    deepest = limits().max_depth
    level, seen = [content], set()
    for _ in range(deepest):
        below: list[Any] = []
        for value in level:
            inside = value.values if isinstance(value, _Array) else value
            if isinstance(inside, list | tuple | dict) and id(inside) not in seen:
                seen.add(id(inside))
                below += inside.values() if isinstance(inside, dict) else inside
        if not below:
            return
        level = below
    raise DataError(f"{path}: " + str(limits().exceeded("max_depth", deepest + 1, "levels of nested values")))


class _Bounded:
    """A file whose reads never ask for more than is left of it."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        content = self._file.read(min(count, self._left) if count >= 0 else self._left)
        self._left -= len(content)
        return content

    def readline(self) -> bytes:
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line


class _Type:
    """A pickled NumPy type: its name, and the byte order of its state."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str):
            raise pickle.UnpicklingError("a type that is no name")
        self.dtype = np.dtype(name)
        if self.dtype.kind not in "fiubUO" or self.dtype.itemsize == 0:
            raise pickle.UnpicklingError(f"an array of {self.dtype}; allowed: numbers and text")

    def __setstate__(self, state: Any) -> None:
        if len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """A pickled array on its way; :attr:`values` are there once its state has come."""

    def __init__(self, *_: Any) -> None:
        self.values: np.ndarray | list[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        if isinstance(kind, _Type) and kind.dtype.hasobject and isinstance(content, list):
            self.values = content
            return
        self.values = _from_buffer(content, kind, shape, "F" if fortran else "C")


def _from_buffer(content: Any, kind: Any, shape: Any, order: str = "C") -> np.ndarray:
    if not isinstance(kind, _Type) or kind.dtype.hasobject or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("an array whose content is no bytes")
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"an array of shape {str(shape)[:50]}")
    if math.prod(shape) * kind.dtype.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(content)} bytes")
    found = np.frombuffer(content, kind.dtype)
    return found.reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: Any, content: Any) -> Any:
    return _from_buffer(content, kind, ()).item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise pickle.UnpicklingError("bytes that are no text")
    return text.encode(encoding)


class _Ndarray:
    """Stands for the class of arrays, which arrays name and never call."""


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Type,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


def _checked_tuple(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return an operation that makes a tuple, which refuses one that is nested too deeply."""

    def checked(reader: _Plain) -> None:
        load(reader)
        made = reader.stack[-1]
        inside = (reader.depths.get(id(value), 0) for value in made if type(value) is tuple)
        reader.depths[id(made)] = depth = 1 + max(inside, default=0)
        if depth > reader.deepest:
            raise pickle.UnpicklingError(
                str(limits().exceeded("max_depth", depth, "levels of nested values"))
            )

    return checked


class _Plain(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Loads plain values and arrays; any other global, and so any code, is refused.

    The Python implementation: the C one allocates gigabytes for a single large memo number.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.deepest = limits().max_depth
        self.depths: dict[int, int] = {}  # of the tuples that are there, which are built from inside

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise pickle.UnpicklingError(
            f"it wants to load {module[:80]}.{name[:80]}; only texts, numbers and arrays are allowed"
        )

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Array | _Type):
            raise pickle.UnpicklingError("a state for what has none")
        self.stack[-1].__setstate__(state)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._fill(self.stack[-1], items)

    def load_dict(self) -> None:
        items = self.pop_mark()
        made: dict[Any, Any] = {}
        self._fill(made, items)
        self.append(made)

    def _fill(self, mapping: Any, items: list[Any]) -> None:
        # hashing a deeply nested tuple ends the process
        if not isinstance(mapping, dict) or not all(
            isinstance(k, str | int | float | bytes) for k in items[::2]
        ):
            raise pickle.UnpicklingError("a mapping whose keys are neither texts nor numbers")
        mapping.update(zip(items[::2], items[1::2], strict=True))

    def _no_sets(self) -> None:
        raise pickle.UnpicklingError("a set; only lists, tuples and mappings are allowed")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    for _code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
        dispatch[_code[0]] = _checked_tuple(dispatch[_code[0]])
    for _code in (pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS):
        dispatch[_code[0]] = _no_sets


def _finished(value: Any, known: dict[int, Any]) -> Any:
    """Return a value with the arrays inside it as arrays; what occurs twice is turned once."""
    if isinstance(value, _Array):
        if value.values is None:
            raise pickle.UnpicklingError("an array without content")
        return _finished(value.values, known) if isinstance(value.values, list) else value.values
    if not isinstance(value, list | tuple | dict):
        return value
    if id(value) not in known:
        known[id(value)] = None  # of what holds itself, nothing is left
        if isinstance(value, dict):
            known[id(value)] = {k: _finished(v, known) for k, v in value.items()}
        else:
            known[id(value)] = type(value)(_finished(v, known) for v in value)
    return known[id(value)]
