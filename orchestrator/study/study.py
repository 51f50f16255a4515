"""A spec with everything it comes to: read, expanded, recorded."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvta import features
from dvta.methods import METHODS
from dvta.skeleton import splits
from orchestrator.errors import SpecError
from orchestrator.records import Slot
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.model import Spec
from orchestrator.store import Store
from orchestrator.study import feature_folders
from orchestrator.study.expand import PUBLISHED, expand, searched_cells
from orchestrator.study.resolve import Resolver
from orchestrator.tables import layout
from orchestrator.trial import Kind


@dataclasses.dataclass(frozen=True)
class Study:
    """A spec with everything it comes to."""

    spec: Spec
    slots: tuple[Slot, ...]
    resolver: Resolver


def read_study(
    path: Path,
    settings: Settings,
    *,
    profile: str | None = None,
    overrides: Mapping[str, str] | None = None,
    source: str | None = None,
) -> Study:
    """Load and expand a spec; every mistake in it is reported before anything is written.

    Raises:
        SpecError: the spec is wrong, or its search cannot go on with this space.
        DataError: real data are asked for and missing.
    """
    spec = load_spec(path, profile=profile, overrides=overrides)
    if source is not None:
        spec = spec.model_copy(update={"source": source})
    resolver = make_resolver(settings, spec.source)
    try:
        slots = tuple(expand(spec, resolver))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    if not any(slot.trial for slot in slots):
        reason = next((slot.missing for slot in slots if slot.missing), "it names no table and no grid")
        raise SpecError(f"{path}: nothing to run: {reason}")
    if spec.search is not None:
        from orchestrator.search.check import check_search

        try:
            check_search(spec, searched_cells(spec, slots), resolver, settings.optuna)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from None
    return Study(spec, slots, resolver)


def make_resolver(settings: Settings, source: str) -> Resolver:
    """Return the resolver of the data root and the runs of some settings."""
    return Resolver(
        functools.partial(features.locate, settings.data),
        source,
        functools.partial(splits.load, settings.data),
        functools.partial(feature_folders.folder_of, settings.runs),
    )


def profile_study(settings: Settings, methods: Sequence[str] | None = None) -> Study:
    """Return the study that measures the cost of methods: Table 9 without its accuracies.

    Raises:
        UnknownNameError: a method is unknown, or what has its name is none.
    """
    methods = list(dict.fromkeys(methods or METHODS.names()))
    for name in methods:
        METHODS.get(name)
    resolver = make_resolver(settings, "auto")
    spec = Spec(study="profile", tables=[9], text="# dvta-orch profile\n")
    table = layout(9)
    slots = [
        Slot(table.name, cell.row, cell.column, resolver.profile(config))
        for cell in (*table.cells(), *table.rows_of([m for m in methods if m not in PUBLISHED]))
        for config in cell.configs
        if config.get("kind") == Kind.PROFILE and config["method"] in methods
    ]
    return Study(spec, tuple(slots), resolver)


def save_study(study: Study, store: Store) -> int:
    """Record a study and its cells (a search's appear as it goes on); return its id."""
    spec = study.spec
    arguments = {
        "profile": spec.profile,
        "source": spec.source,
        "set": {k: str(v) for k, v in spec.forced.items()},
    }
    return store.save_study(spec.study, spec.text, study.slots if spec.search is None else [], arguments)
