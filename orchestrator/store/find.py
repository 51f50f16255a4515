"""Finding stored trials by what a person types: names and values, a key's beginning, a printed name."""

from __future__ import annotations

from dvta.errors import did_you_mean
from orchestrator.errors import StoreError
from orchestrator.names import parse_name, text_of
from orchestrator.records import CellValue
from orchestrator.store.store import Store
from orchestrator.trial import State, Trial

SHOWN = 8  # of several that match


def find_trials(store: Store, where: dict[str, str], limit: int | None = None) -> list[CellValue]:
    """Return stored trials by names and the texts their values are printed as.

    Raises:
        StoreError: no trial has a name of ``where``, or there is no such state.
    """
    found = store.trials(where, limit)
    if found or not where:
        return found
    known = {"key", "state", "seed", *(name for value in store.trials() for name in value.config)}
    for name, value in where.items():
        if name not in known:
            raise StoreError(
                f"{name}: no trial has it{did_you_mean(name, known)}; allowed: {', '.join(sorted(known))}"
            )
        states = [*map(str, State), "not run"]
        if name == "state" and value not in states:
            raise StoreError(
                f"state: {value!r} is unknown{did_you_mean(value, states)}; allowed: {', '.join(states)}"
            )
    return found


def find_trial(store: Store, name: str) -> CellValue:
    """Return the one stored trial of a key's beginning, a printed name, or a part of one that only it has.

    Raises:
        StoreError: none or several fit.
    """
    given = parse_name(name)
    if given is None:
        found = find_trials(store, {"key": name})
        called = store.names([v.key for v in found[:SHOWN] if v.key])
    else:
        method, parts = given
        found = find_trials(store, {n: text_of(text) for n, text in {"method": method, **parts}.items()})
        called = store.names([v.key for v in found if v.key])
        # a name is that of one trial, though others may hold the same values and more
        found = [v for v in found if parse_name(called[v.key or ""]) == given] or found
    if len(found) != 1:
        names = "".join(f"\n  {called[v.key or '']}" for v in found[:SHOWN])
        raise StoreError(f"trial {name!r}: {len(found)} match; see dvta-orch trials{names}")
    return found[0]


def load_trial(store: Store, name: str) -> Trial:
    """Return the trial itself, found like :func:`find_trial`."""
    found = find_trial(store, name)
    assert found.key is not None
    return store.trial(found.key)
