"""Names for methods, losses, encoders and datasets: a decorator, a listing, and entry points."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from dvta.errors import UnknownNameError, did_you_mean

T = TypeVar("T")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?$")


class Registry(Generic[T]):
    """Objects of one kind by public name.

    A name is looked up among the decorated objects, then in the entry-point ``group``, then as a
    dotted path (``package.module:Object`` or ``package.module.Object``). With ``of``, what somebody
    else wrote must be a subclass or an instance of it; with ``takes``, a function that can be called
    like that one.
    """

    def __init__(
        self, kind: str, group: str, of: type | None = None, takes: inspect.Signature | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self._of, self._takes = of, takes
        self._objects: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate an object with its public name; a second object of that name is an error."""

        def add(obj: T) -> T:
            if name in self._objects and self._objects[name] is not obj:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._objects[name] = obj
            return obj

        return add

    def names(self) -> list[str]:
        """Return every registered and installed name, sorted."""
        return sorted({*self._objects, *(e.name for e in _installed(self.group, tuple(sys.path)))})

    def get(self, name: str) -> T:
        """Return the object of that name.

        Raises:
            UnknownNameError: nothing has the name; the message lists what exists.
        """
        if name in self._objects:
            return self._objects[name]
        for entry in _installed(self.group, tuple(sys.path)):
            if entry.name == name:
                self._objects[name] = self._checked(name, self._load(name, entry.load))
                return self._objects[name]
        if _DOTTED.match(name):
            return self._import(name)
        raise UnknownNameError(
            f"unknown {self.kind} {name!r}{did_you_mean(name, self.names())}; "
            f"known: {', '.join(self.names())}; "
            f"your own: a dotted path such as my_package.module:Name"
        )

    def _import(self, path: str) -> T:
        module_name, _, attribute = path.replace(":", ".").rpartition(".")
        found = self._load(path, lambda: getattr(importlib.import_module(module_name), attribute))
        return self._checked(path, found)

    def _load(self, name: str, load: Callable[[], T]) -> T:
        try:
            return load()
        except (Exception, SystemExit) as error:  # somebody else's module may raise anything, or exit
            raise UnknownNameError(
                f"{self.kind} {name!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error

    def _checked(self, name: str, found: T) -> T:
        if self._takes is not None and not _can_be_called(found, self._takes):
            raise UnknownNameError(f"{self.kind} {name!r} cannot be called as {self._takes}")
        fits = self._of is None or isinstance(found, self._of)
        if not fits and not (isinstance(found, type) and issubclass(found, self._of or object)):
            assert self._of is not None
            raise UnknownNameError(
                f"{self.kind} {name!r} is no {self._of.__module__}.{self._of.__qualname__}"
            )
        return found


@functools.cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; every look at them reads all of the environment's files anew."""
    return tuple(entry_points(group=group))


def _can_be_called(found: object, like: inspect.Signature) -> bool:
    """Return whether something takes the arguments of a signature, as far as Python can tell."""
    if not callable(found):
        return False
    kinds = [(p.name, p.kind is p.KEYWORD_ONLY) for p in like.parameters.values()]
    try:
        inspect.signature(found).bind(
            *(None for _, by_name in kinds if not by_name),
            **{name: None for name, by_name in kinds if by_name},
        )
    except (TypeError, ValueError):
        return False
    return True
