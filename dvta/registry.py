"""Names for methods, losses, encoders and datasets: a decorator, a listing, and entry points."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from dvta.errors import UnknownNameError, did_you_mean

T = TypeVar("T")
F = TypeVar("F")
DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?$")


class Registry(Generic[T]):
    """Objects of one kind by public name.

    A name is looked up among the decorated objects, then in the entry-point ``group``, then as a
    dotted path (``package.module:Object`` or ``package.module.Object``). With ``of``, what somebody
    else wrote must be an instance of that class, or a subclass of the one that a dotted path names and that
    is imported when it is needed; with ``takes``, a function that can be called like that one. ``home`` is
    the package whose import decorates the objects that were announced.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        of: type | str | None = None,
        takes: inspect.Signature | None = None,
        home: str | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._of, self._takes, self._home = of, takes, home
        self._objects: dict[str, T] = {}
        self._facts: dict[str, Any] = {}

    def announces(self, name: str) -> Callable[[F], F]:
        """Decorate what can be said of an object before its network is imported from ``home``."""

        def add(facts: F) -> F:
            self._facts[name] = facts
            return facts

        return add

    def facts(self, name: str) -> Any:
        """Return what was announced of an object, or the object itself, which has the same class variables.

        Raises:
            UnknownNameError: nothing has the name.
        """
        return self._facts[name] if name in self._facts else self.get(name)

    def check(self, name: str) -> None:
        """Check that something has the name; what was announced is not imported for it.

        Raises:
            UnknownNameError: nothing has the name.
        """
        if name not in self._facts:
            self.get(name)

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
        return sorted(
            {*self._objects, *self._facts, *(e.name for e in _installed(self.group, tuple(sys.path)))}
        )

    def get(self, name: str) -> T:
        """Return the object of that name.

        Raises:
            UnknownNameError: nothing has the name; the message lists what exists.
        """
        if name in self._facts and name not in self._objects and self._home:
            importlib.import_module(self._home)
        if name in self._objects:
            return self._objects[name]
        for entry in _installed(self.group, tuple(sys.path)):
            if entry.name == name:
                self._objects[name] = self._checked(name, self._load(name, entry.load))
                return self._objects[name]
        if DOTTED.match(name):
            return self._import(name)
        raise UnknownNameError(
            f"unknown {self.kind} {name!r}{did_you_mean(name, self.names())}; "
            f"known: {', '.join(self.names())}; "
            f"your own: a dotted path such as my_package.module:Name"
        )

    def _import(self, path: str) -> T:
        return self._checked(path, self._load(path, lambda: _imported(path)))

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
        if isinstance(self._of, str):
            base = _imported(self._of)
            if not isinstance(found, type) or not issubclass(found, base) or found is base:
                raise UnknownNameError(f"{self.kind} {name!r} is no {self._of}")
        elif self._of is not None and not isinstance(found, self._of):
            raise UnknownNameError(
                f"{self.kind} {name!r} is no {self._of.__module__}.{self._of.__qualname__}"
            )
        return found


def _imported(path: str) -> Any:
    """Return what a dotted path names."""
    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    return getattr(importlib.import_module(module_name), attribute)


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
