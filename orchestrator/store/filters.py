"""What a person asks of a list of trials: ``gamma>0.1``, ``epochs<=15``, ``method=dvta|smie``, ``method!=dvta``."""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from orchestrator.errors import SettingsError
from orchestrator.names import text_of
from orchestrator.store.rows import COLUMNS, matches
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import State, format_value

FORMS = "NAME=VALUE, NAME=VALUE|VALUE, NAME!=VALUE, NAME>VALUE, NAME>=VALUE, NAME<VALUE, NAME<=VALUE"
NOT_RUN = "not run"

_FORM = re.compile(r"\s*([^=!<>\s]+)\s*(!=|>=|<=|==?(?!\s*[<>])|>|<)\s*(.*)", re.DOTALL)
_VALUES = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^|]*?)\s*(?:\||$)')
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Filter:
    """A condition on one name of a configuration, on ``key`` (its beginning), ``seed`` or ``state``.

    Attributes:
        operation: ``=`` (one of the values), ``!=`` (none of them), or a comparison with one number.
        values: or the texts they are printed as.
    """

    name: str
    operation: str
    values: tuple[Any, ...]

    def holds(self, stored: Any) -> bool:
        """Return whether a stored value fulfils it; what is no number is neither less nor more than one."""
        if self.operation == "=":
            return any(matches(stored, value) for value in self.values)
        if self.operation == "!=":
            return not any(matches(stored, value) for value in self.values)
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            return False
        return _COMPARE[self.operation](stored, self.values[0])


def equal(where: Mapping[str, Any]) -> list[Filter]:
    """Return the filters that want these values."""
    return [Filter(name, "=", (value,)) for name, value in where.items()]


def parse_filters(texts: Iterable[str]) -> list[Filter]:
    """Read filters; one name with ``=`` several times means any of the values, all else is joined by "and".

    Raises:
        SettingsError: one of them is not of a known form.
    """
    wanted: dict[str, tuple[Any, ...]] = {}
    others = []
    for text in texts:
        found = _FORM.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"{text!r}: allowed: {FORMS}; in quotation marks, since a shell keeps < > and | for itself"
            )
        name, operation, rest = found.groups()
        if operation in _COMPARE:
            others.append(Filter(name, operation, (_number(text, rest),)))
            continue
        try:
            values = tuple(text_of(value) for value in _split(rest))
        except SettingsError as error:
            raise SettingsError(f"{text!r}: {error}; a filter is one of {FORMS}") from None
        if operation == "!=":
            others.append(Filter(name, operation, values))
        else:
            wanted[name] = wanted.get(name, ()) + values
    return [Filter(name, "=", values) for name, values in wanted.items()] + others


def shown_state(now: float) -> Any:
    """Return the SQL of an attempt's state: running only while its lease is alive, by the database's clock."""
    left = sa.and_(AttemptRow.state == State.RUNNING, AttemptRow.lease_until < now)
    return sa.case((left, State.INTERRUPTED.value), else_=AttemptRow.state)


def condition(each: Filter, state: Any) -> Any:
    """Return a filter as SQL, or None where only values that were read can tell."""
    if each.operation not in ("=", "!="):
        return None
    if each.name == "key":
        found = sa.or_(*(TrialRow.key.startswith(str(value), autoescape=True) for value in each.values))
    elif each.name in COLUMNS and each.name not in ("seed", "revision"):
        texts = [format_value(value) for value in each.values]
        column = sa.func.coalesce(getattr(TrialRow, each.name), "none")
        found = column.in_(texts)
    elif each.name == "state":
        found = sa.func.coalesce(state, NOT_RUN).in_([str(value) for value in each.values])
    else:
        return None
    return found if each.operation == "=" else sa.not_(found)


def _split(text: str) -> list[str]:
    """Return the values of ``a|b``; one in quotation marks may hold the sign."""
    values, at = [], 0
    while True:
        found = _VALUES.match(text, at)
        assert found is not None
        values.append(found[1])
        at = found.end()
        if at >= len(text):
            return values + [""] * text.endswith("|")


def _number(text: str, given: str) -> float:
    try:
        number = math.nan if "_" in given else float(given)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise SettingsError(f"{text!r}: {given!r} is not a number; less and more are for numbers")
    return number
