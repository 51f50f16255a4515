"""What can refuse a search, asked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility

from orchestrator.errors import SpecError
from orchestrator.search.optuna_storage import stored_distributions
from orchestrator.search.space import distribution
from orchestrator.spec.model import Search, Spec
from orchestrator.study.resolve import Resolver

#: objective -> what a candidate is told by
MEASURED = {"val_acc": "validation accuracy", "test": "test accuracy"}


def candidate_config(search: Search, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a candidate: on the validation classes unless the spec says otherwise."""
    return {**config, "evaluate_on": "validation" if search.objective == "val_acc" else "unseen"}


def repeat_label(cell: str, repeat: int) -> str:
    """Return the name that tells the repeats of a cell's search apart; the first has none of its own."""
    return f"{cell} (repeat {repeat + 1})" if repeat else cell


def study_name(study: str, cell: str, repeat: int) -> str:
    """Return the name of the Optuna study of one repeat of a cell's search."""
    return f"{study}:{repeat_label(cell, repeat)}"


def check_search(spec: Spec, cells: Mapping[str, Mapping[str, Any]], resolver: Resolver, url: str) -> None:
    """Check that every cell of a search has candidates, and that searches made before can be continued.

    Args:
        cells: row -> configuration of the cells that are searched.
        url: of Optuna's database.

    Raises:
        DvtaError: a candidate is impossible or lacks its data, or the space has changed in kind.
    """
    assert spec.search is not None
    repeats = range(spec.search.repeats)
    for config in cells.values():
        for repeat in repeats:
            # encoders without the validation classes become known before the search begins
            resolver.trial(candidate_config(spec.search, config), spec.search.seed + repeat)
    names = [study_name(spec.study, row, repeat) for row in cells for repeat in repeats]
    stored = stored_distributions(url, names)
    for name, asked in stored.items():
        check_ranges(spec.search, name, asked)


def check_ranges(search: Search, name: str, asked: Sequence[Mapping[str, BaseDistribution]]) -> None:
    """Check that an Optuna study can go on with the space of a search.

    Raises:
        SpecError: an axis has another type, scale or other choices than in the study.
    """
    for axis_name, axis in search.space.items():
        new = distribution(axis)
        for old in (known[axis_name] for known in asked if axis_name in known):
            try:
                check_distribution_compatibility(old, new)
            except ValueError as error:
                raise SpecError(
                    f"search.space.{axis_name}: {new} cannot continue the search {name!r}, which has "
                    f"{old}; allowed: other low and high, or another name of the study"
                ) from error
