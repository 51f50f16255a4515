"""The searches of a study: one cell a point of its grid, its candidates and tuned trials recorded as they appear."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from orchestrator.records import Slot
from orchestrator.search.check import MEASURED, candidate_config
from orchestrator.search.study import SearchCell, SearchTrials
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.expand import searched_cells
from orchestrator.study.study import Study
from orchestrator.tables import GENERALISED, tuned_row
from orchestrator.trial import Scalar, State, Trial


class SearchBuilder:
    """Makes the trials of a study's searches and records them in its cells."""

    def __init__(self, study: Study, store: Store, study_id: int) -> None:
        assert study.spec.search is not None
        self._study, self._store, self._study_id = study, store, study_id
        self._search = study.spec.search

    def build(self, settings: Settings, again: frozenset[State]) -> SearchTrials:
        """Open the Optuna studies of all cells.

        Args:
            again: states in which candidates and tuned trials of earlier sweeps are run again.

        Raises:
            SpecError: a search cannot be continued with this space.
        """
        spec = self._study.spec
        points = searched_cells(spec, self._study.slots)
        cells = [
            SearchCell(
                row,
                functools.partial(self._candidate, config, repeat),
                functools.partial(self._tuned, config),
                repeat,
            )
            for row, config in points.items()
            for repeat in range(self._search.repeats)
        ]
        return SearchTrials(
            self._store,
            cells,
            self._search,
            name=spec.study,
            url=settings.optuna,
            seeds=spec.seeds,
            again=again,
            on_candidates=self._record_candidates,
            on_tuned=self._record_tuned,
        )

    def _candidate(self, config: Mapping[str, Any], repeat: int, values: Mapping[str, Scalar]) -> Trial:
        full = candidate_config(self._search, {**config, **values})
        return self._study.resolver.trial(full, self._search.seed + repeat)

    def _tuned(self, config: Mapping[str, Any], values: Mapping[str, Scalar], seed: int) -> Trial:
        return self._study.resolver.trial({**config, **values}, seed)

    def _record_candidates(self, cell: SearchCell, trials: list[Trial]) -> None:
        column = MEASURED[self._search.objective]
        slots = [Slot("search", cell.label, column, trial) for trial in trials]
        self._store.add_slots(self._study_id, slots)

    def _record_tuned(self, cell: SearchCell, trials: list[Trial]) -> None:
        repeat = cell.repeat + 1 if self._search.repeats > 1 else None
        row = tuned_row(cell.name, on_test=self._search.objective == "test", repeat=repeat)
        columns = GENERALISED if self._study.spec.protocol == "gzsl" else ("accuracy",)
        slots = [Slot("grid", row, column, trial) for column in columns for trial in trials]
        self._store.add_slots(self._study_id, slots)
