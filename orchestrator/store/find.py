"""Finding stored trials by what a person types: names and values, a key's beginning, a printed name."""

from __future__ import annotations

from collections.abc import Sequence

from dvta.errors import did_you_mean
from orchestrator.errors import StoreError
from orchestrator.names import parse_name, text_of
from orchestrator.records import CellValue
from orchestrator.store.filters import NOT_RUN, Filter, equal
from orchestrator.store.store import Store
from orchestrator.trial import State, Trial

SHOWN = 8  # of several that match


STATES = (*map(str, State), NOT_RUN)


def list_trials(
    store: Store, filters: Sequence[Filter] = (), *, study: str | None = None, limit: int | None = None
) -> tuple[int, list[CellValue]]:
    """Return how many stored trials (of a study) fit, and the newest of them.

    Raises:
        StoreError: there is no such study or state, or no trial has a name of the filters.
    """
    for each in filters:
        unknown = [value for value in each.values if value not in STATES]
        if each.name == "state" and unknown:
            raise StoreError(
                f"state: {unknown[0]!r} is unknown{did_you_mean(str(unknown[0]), STATES)}; "
                f"allowed: {', '.join(STATES)}"
            )
    study_id = None if study is None else store.find_study(study)[0]
    total, found = store.newest_trials(filters, study_id=study_id, limit=limit)
    seen = {"key", "state", "seed", *(found[0].config if found else ())}
    unseen = [each.name for each in filters if each.name not in seen]
    known = {"key", "state", "seed", *store.configured_names()} if unseen else seen
    for name in unseen:
        if name not in known:
            raise StoreError(
                f"{name}: no trial has it{did_you_mean(name, known)}; allowed: {', '.join(sorted(known))}"
            )
    return total, found


def find_trial(store: Store, name: str) -> CellValue:
    """Return the one stored trial of a key's beginning, a printed name, or a part of one that only it has.

    Raises:
        StoreError: none or several fit.
    """
    given = parse_name(name)
    if given is None:
        found = list_trials(store, equal({"key": name}))[1][::-1]
        called = store.names([v.key for v in found[:SHOWN] if v.key])
    else:
        method, parts = given
        texts = {n: text_of(text) for n, text in {"method": method, **parts}.items()}
        found = list_trials(store, equal(texts))[1][::-1]
        called = store.names([v.key for v in found if v.key])
        # a name is that of one trial, though others may hold the same values and more
        found = [v for v in found if parse_name(called[v.key or ""]) == given] or found
    if not found:
        raise StoreError(
            f"trial {name!r}: none is stored of that key or name; allowed: the beginning of a key, or a name such as "
            "dvta[split=55/5,seed=0]; dvta-orch trials lists them"
        )
    if len(found) > 1:
        names = "".join(f"\n  {called[v.key or '']}" for v in found[:SHOWN])
        raise StoreError(f"trial {name!r}: {len(found)} match; see dvta-orch trials{names}")
    return found[0]


def load_trial(store: Store, name: str) -> Trial:
    """Return the trial itself, found like :func:`find_trial`."""
    found = find_trial(store, name)
    assert found.key is not None
    return store.trial(found.key)
