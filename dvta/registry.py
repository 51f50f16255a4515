"""Names for methods, losses, encoders and datasets: a decorator, a listing, and entry points."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from dvta.errors import UnknownNameError, did_you_mean

T = TypeVar("T")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?$")


class Registry(Generic[T]):
    """Objects of one kind by public name.

    A name is looked up among the decorated objects, then in the entry-point ``group``, then as a
    dotted path (``package.module:Object`` or ``package.module.Object``).
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
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
        return sorted({*self._objects, *(e.name for e in entry_points(group=self.group))})

    def get(self, name: str) -> T:
        """Return the object of that name.

        Raises:
            UnknownNameError: nothing has the name; the message lists what exists.
        """
        if name in self._objects:
            return self._objects[name]
        for entry in entry_points(group=self.group):
            if entry.name == name:
                self._objects[name] = entry.load()
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
        try:
            return getattr(importlib.import_module(module_name), attribute)  # type: ignore[no-any-return]
        except (ImportError, AttributeError) as error:
            raise UnknownNameError(f"{self.kind} {path!r} cannot be imported: {error}") from error
