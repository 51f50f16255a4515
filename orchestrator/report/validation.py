"""The epoch that validation classes choose: stored beside a trial by a second training without them.

Training without the validation classes shows after every epoch how well classes are told apart that it has not
seen. The epoch where that is best is taken from the training of the same configuration and seed that has all
seen classes. What it costs is the second training; what it assumes is that both are best at about the same epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import SettingsError
from orchestrator.records import ACCURACY, VALIDATION, CellValue
from orchestrator.report.protocols import ALL
from orchestrator.store import Store
from orchestrator.trial import canonical_json

# an encoder that has not seen the validation classes is another trial
_APART = ("evaluate_on", "depends_on")
ASKED = "no training without validation classes is done in study {study!r}; sweep it with validation: true in its spec"


def with_validation(store: Store, study_id: int, values: Sequence[CellValue]) -> list[CellValue]:
    """Return values with the accuracy at the epoch that validation classes chose, where it is known."""
    identity = _Identity()
    chosen: dict[tuple[Any, ...], dict[str, CellValue]] = {}
    for value in store.cells(study_id, VALIDATION):
        if value.key:  # one that has not ended is nobody else's twin either
            chosen.setdefault(identity(value), {})[value.row] = value
    pairs = {
        v.attempt_id: twin
        for v in values
        if v.final is not None
        and (twin := _twin(v.row, chosen.get(identity(v), {}))) is not None
        and twin.final is not None
    }
    attempts = {i for own, other in pairs.items() for i in (own, other.attempt_id) if i is not None}
    curves = store.curves(attempts, (ACCURACY,))
    found: dict[int | None, float] = {}
    for own, other in pairs.items():
        validation = curves.get(other.attempt_id or 0, {}).get(ACCURACY, [])
        measured = dict(curves.get(own or 0, {}).get(ACCURACY, []))
        # the first of the best
        epoch = max(validation, key=lambda point: (point[1], -point[0]), default=(0, 0.0))[0]
        if epoch in measured:
            found[own] = measured[epoch]
    return [v._replace(validated=found.get(v.attempt_id)) if v.key else v for v in values]


def values_under(store: Store, study: tuple[int, str], table: str | None, protocol: str) -> list[CellValue]:
    """Return the values of a study's table as a protocol needs them; see :func:`with_validation`.

    Raises:
        SettingsError: the protocol is ``validation`` and no trial has an epoch chosen by validation classes.
    """
    study_id, name = study
    values = store.cells(study_id, table)
    if protocol not in (VALIDATION, ALL):
        return values
    values = with_validation(store, study_id, values)
    if protocol == VALIDATION and all(v.validated is None for v in values):
        raise SettingsError(f"--protocol {VALIDATION}: {ASKED.format(study=name)}")
    return values


def _twin(row: str, found: Mapping[str, CellValue]) -> CellValue | None:
    """Return the training without validation classes; where encoders alone tell several apart, that of the same row."""
    return found.get(row) or (next(iter(found.values())) if len(found) == 1 else None)


class _Identity:
    """What a training with all seen classes and one without some of them have in common."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def __call__(self, value: CellValue) -> tuple[Any, ...]:
        # equal configurations of one reading are one object
        known = self._known.get(id(value.config))
        if known is None:
            same = {n: x for n, x in value.config.items() if n not in _APART}
            known = self._known[id(value.config)] = canonical_json(same)
        return value.seed, known
