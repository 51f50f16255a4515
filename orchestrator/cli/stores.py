"""Stores beside the one of the settings, and what is said where results meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.common import counted, open_store
from orchestrator.cli.output import say

if TYPE_CHECKING:
    from orchestrator.store import Store
    from orchestrator.store.merge import Merged

MOST_CONFLICTS = 20  # shown one by one
Stores = Annotated[
    list[str] | None,
    typer.Option(
        "--store", metavar="URL", help="Read this store or archive instead; several are read as one."
    ),
]


def open_stores(places: list[str] | None) -> Store:
    """Open the stores a person names, as one and read only, or the store of the settings."""
    if not places:
        return open_store()
    from orchestrator.store.several import open_several

    store, added = open_several(places)
    for place, merged in added:
        for name in merged.other_specs:
            say(f"{place}: study {name} was swept from another spec there; its cells are read as one")
        for line in conflicts(merged, store):
            say(f"{place}: {line}")
    return store


def conflicts(merged: Merged, store: Store) -> list[str]:
    """Return a line for every trial that both stores had done with other results."""
    found = merged.conflicts
    names = store.names([c.key for c in found[:MOST_CONFLICTS]])
    lines = [
        f"{counted(len(found), 'trial')} done in both with different results; the attempt that started last counts, "
        "report --explain shows all"
        for _ in found[:1]
    ]
    for conflict in found[:MOST_CONFLICTS]:
        name = next((n for n in ("final_accuracy", "best_accuracy") if n in conflict.here), None)
        name = name or next(iter(conflict.here))
        here, there = conflict.here[name], conflict.there[name]
        which = "there" if conflict.counts else "here"
        lines.append(
            f"  {conflict.key[:10]} {names[conflict.key]}: {name} {_text(here)} here, {_text(there)} there; {which} counts"
        )
    if len(found) > MOST_CONFLICTS:
        lines.append(f"  and {len(found) - MOST_CONFLICTS} more")
    return lines


def _text(value: float | None) -> str:
    return "absent" if value is None else f"{value:.6g}"
