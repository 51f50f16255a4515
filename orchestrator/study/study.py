"""A spec with everything it comes to: read, expanded, recorded."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvta import datasets
from dvta.data_ref import locate
from dvta.facts import METHODS
from dvta.skeleton.splits import load as load_skeletons
from orchestrator.errors import SpecError
from orchestrator.records import Slot
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.model import Spec
from orchestrator.store import Store
from orchestrator.study import feature_folders
from orchestrator.study.expand import expand
from orchestrator.study.resolve import Resolver
from orchestrator.tables import METHODS as LABELS
from orchestrator.tables import NEWER, layout
from orchestrator.trial import Kind


@dataclasses.dataclass(frozen=True)
class Study:
    """A spec with everything it comes to; ``path`` is its file, where it has one."""

    spec: Spec
    slots: tuple[Slot, ...]
    resolver: Resolver
    path: Path | None = None


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
        SpecError: the spec is wrong. DataError: real data are asked for and missing.
    """
    spec = load_spec(path, profile=profile, overrides=overrides, data=settings.data)
    if source is not None:
        spec = spec.model_copy(update={"source": source})
    resolver = make_resolver(settings, spec.source, spec.splits)
    try:
        slots = tuple(expand(spec, resolver))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    if not any(slot.trial for slot in slots):
        empty = (
            "no cell of the tables has all that where asks for"
            if spec.where
            else "it names no table and no grid"
        )
        reason = next((slot.missing for slot in slots if slot.missing), empty)
        raise SpecError(f"{path}: nothing to run: {reason}")
    return Study(spec, slots, resolver, path)


def make_resolver(
    settings: Settings, source: str, splits: Mapping[str, Sequence[str | int]] | None = None
) -> Resolver:
    """Return the resolver of the data root and the runs of some settings, with a spec's own splits."""
    return Resolver(
        functools.partial(locate, settings.data),
        source,
        functools.partial(load_skeletons, settings.data),
        functools.partial(feature_folders.folder_of, settings.runs),
        functools.partial(feature_folders.weights_of, settings.runs),
        functools.partial(datasets.get, root=settings.data),
        splits,
    )


def profile_study(settings: Settings, methods: Sequence[str] | None = None) -> Study:
    """Return the study that measures the cost of methods: Table 9 without its accuracies.

    Raises:
        UnknownNameError: a method is unknown, or what has its name is none.
    """
    methods = list(dict.fromkeys(methods or [m for m in METHODS.names() if m not in NEWER]))
    for name in methods:
        METHODS.check(name)
    resolver = make_resolver(settings, "auto")
    spec = Spec(study="profile", tables=[9], text="# dvta-orch profile\n")
    table = layout(9)
    slots = [
        Slot(table.name, cell.row, cell.column, resolver.profile(config))
        for cell in (*table.cells(), *table.rows_of([m for m in methods if m not in LABELS.values()]))
        for config in cell.configs
        if config.get("kind") == Kind.PROFILE and config["method"] in methods
    ]
    return Study(spec, tuple(slots), resolver)


def save_study(study: Study, store: Store) -> int:
    """Record a study and its cells (a search's appear as it goes on); return its id."""
    spec = study.spec
    arguments: dict[str, Any] = {
        "profile": spec.profile,
        "source": spec.source,
        "set": {k: str(v) for k, v in spec.forced.items()},
    }
    if spec.splits:
        arguments["splits"] = spec.splits
    return store.save_study(spec.study, spec.text, study.slots if spec.search is None else [], arguments)
