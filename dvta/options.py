"""Options of methods and encoders: frozen dataclasses of scalars, resolved from what a person gave."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from dvta.errors import OptionError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Options:
    """Base of all options: every switch, with its default.

    Fields are scalars (bool, int, float, str, None, ``Literal``); ``__post_init__`` raises
    :class:`~dvta.errors.OptionError` on an impossible value.
    """

    #: what ``preset: paper`` (as written) and ``preset: official`` (as published in code) set
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "official": {}}

    def canonical(self) -> dict[str, Any]:
        """Return every option, with those that have no effect here set to None.

        Two configurations that train the same model have the same canonical form.
        """
        return dataclasses.asdict(self)

    @classmethod
    def resolve(cls, given: Mapping[str, Any]) -> Self:
        """Return the options of ``given`` over its ``preset`` over the defaults.

        Raises:
            OptionError: an option or preset is unknown, or a value is impossible.
        """
        given = dict(given)
        preset = given.pop("preset", None)
        if preset is not None and (not isinstance(preset, str) or preset not in cls.PRESETS):
            raise OptionError(
                f"preset: {preset!r} is unknown{did_you_mean(preset, cls.PRESETS)}; "
                f"allowed: {', '.join(cls.PRESETS)}"
            )
        allowed = [f.name for f in dataclasses.fields(cls)]
        for name in given:
            if name not in allowed:
                raise OptionError(
                    f"{name}: unknown option{did_you_mean(name, allowed)}; "
                    f"allowed: {', '.join(sorted(allowed)) or 'none'}"
                )
        # a None in a canonical form means "no effect": the default stands in for it
        chosen = {k: v for k, v in given.items() if v is not None or _default(cls, k) is None}
        values = {**(cls.PRESETS[preset] if preset else {}), **chosen}
        check_values(cls, values)
        return cls(**values)


def check_values(owner: type, values: Mapping[str, Any]) -> None:
    """Check values against the types of a dataclass's fields.

    Raises:
        OptionError: a value has another type, or is none of a ``Literal``'s choices.
    """
    kinds = _kinds(owner)  # type: ignore[arg-type]
    for name, value in values.items():
        kind = kinds[name]
        if fits(kind, value):
            continue
        if typing.get_origin(kind) is Literal:
            allowed = typing.get_args(kind)
            raise OptionError(
                f"{name}: {value!r} is unknown{did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"
            )
        raise OptionError(f"{name}: {value!r} is impossible; allowed: {expected(kind)}")


def check_least(owner: object, least: int, *names: str) -> None:
    """Check that fields of a dataclass are finite numbers, none below ``least``.

    Raises:
        OptionError: one is not.
    """
    for name in names:
        value = getattr(owner, name)
        if not least <= value < math.inf:
            raise OptionError(f"{name}: {value!r} is impossible; allowed: {least} or more")


def fits(kind: Any, value: object) -> bool:
    """Return whether a value is of a field's type; a whole number is a number, true and infinity are none."""
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return any(fits(k, value) for k in typing.get_args(kind))
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)


def expected(kind: Any) -> str:
    """Return a field's type in words."""
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if isinstance(kind, types.UnionType):
        return " or ".join(expected(k) for k in typing.get_args(kind))
    words = {float: "a finite number", int: "a whole number", bool: "true or false", str: "a text"}
    return words.get(kind, "none" if kind is types.NoneType else str(kind))


@functools.cache
def _kinds(owner: type) -> dict[str, Any]:
    return typing.get_type_hints(owner)


def _default(cls: type[Options], name: str) -> Any:
    return next(f.default for f in dataclasses.fields(cls) if f.name == name)
