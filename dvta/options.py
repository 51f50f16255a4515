"""Options of methods and encoders: frozen dataclasses of scalars, resolved from what a person gave."""

from __future__ import annotations

import dataclasses
import functools
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
        if preset is not None and preset not in cls.PRESETS:
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
        options = cls(**{**(cls.PRESETS[preset] if preset else {}), **chosen})
        check_choices(options)
        return options


def check_choices(settings: object) -> None:
    """Check every ``Literal`` field of a dataclass instance.

    Raises:
        OptionError: a value is none of its choices.
    """
    for name, allowed in _choices(type(settings)):  # type: ignore[arg-type]
        value = getattr(settings, name)
        if value not in allowed:
            raise OptionError(
                f"{name}: {value!r} is unknown{did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"
            )


@functools.cache
def _choices(cls: type) -> list[tuple[str, tuple[Any, ...]]]:
    kinds = typing.get_type_hints(cls).items()
    return [(name, typing.get_args(kind)) for name, kind in kinds if typing.get_origin(kind) is Literal]


def _default(cls: type[Options], name: str) -> Any:
    return next(f.default for f in dataclasses.fields(cls) if f.name == name)
