"""Optuna searches: one study per cell, asked and told by the driver while its trials run.

The study is continued by name. A suggestion whose trial the store already has is told the stored
value and not trained again; one that is being trained is told when that ends. What Optuna was told
stays: a candidate that is run again is a new one with the same values, which takes the place of the old.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from dvta.errors import DvtaError
from orchestrator.errors import SpecError
from orchestrator.execute.protocol import Wait
from orchestrator.search.space import Dimension, make_pruner, make_sampler
from orchestrator.settings import OPTUNA_SCHEMA as SCHEMA
from orchestrator.store import Store, TrialStatus
from orchestrator.store.owner import is_dead
from orchestrator.trial import Scalar, State, Trial

log = logging.getLogger(__name__)

TOLD = {
    State.DONE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}
# user attributes of an Optuna trial: the key of our trial; the number of the one it takes the place of
KEY, REPLACES = "dvta:trial", "dvta:replaces"
RESUME_SECONDS = 2.0  # between two looks for candidates of dead drivers
NAMING_SECONDS = 20.0  # longer than a driver takes to name the values of a candidate
VALUE = "final_accuracy"  # of the validation classes, or of the test classes where asked for


@dataclasses.dataclass(frozen=True)
class SearchCell:
    """What is searched once: a point of the grid.

    Attributes:
        name: the printed name of the cell, also the end of the Optuna study's name.
        candidate: makes the trial of some values, on the validation (or test) classes.
        tuned: makes the trial of some values and a seed, on all seen classes.
    """

    name: str
    candidate: Callable[[Mapping[str, Scalar]], Trial]
    tuned: Callable[[Mapping[str, Scalar], int], Trial]


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How every cell is searched: ``trials`` is a target for the study, not an increment.

    ``again`` are the states in which candidates and tuned trials of earlier sweeps are run again.
    """

    study: str
    url: str
    dimensions: tuple[Dimension, ...]
    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "none"
    seed: int = 0
    enqueue: tuple[Mapping[str, Scalar], ...] = ()
    seeds: tuple[int, ...] = (0,)
    again: frozenset[State] = frozenset()


@dataclasses.dataclass
class _Search:
    cell: SearchCell
    study: optuna.Study
    target: int
    waiting: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # trial key -> Optuna ids
    resumed: collections.deque[Trial] = dataclasses.field(default_factory=collections.deque)
    tuned: bool = False

    def candidates(self) -> list[FrozenTrial]:
        """Return what was asked for, less what another took the place of."""
        trials = self.study.get_trials(deepcopy=False)
        replaced = {t.user_attrs.get(REPLACES) for t in trials}
        return [t for t in trials if t.state is not TrialState.WAITING and t.number not in replaced]

    def told(self) -> int:
        return sum(t.state.is_finished() for t in self.candidates())


class SearchTrials:
    """A :class:`orchestrator.sources.TrialSource`: candidates of every cell, then the tuned trials.

    Args:
        store: asked for values of trials that ended before.
        on_candidates: is called with a cell and candidates of its study, old and new.
        on_tuned: is called with a cell and its tuned trials once its search has ended.
        fresh: gets the keys of trials that start over, with the attempts that are replaced.

    Attributes:
        failed: cells where no candidate succeeded.
    """

    def __init__(
        self,
        store: Store,
        cells: Sequence[SearchCell],
        settings: SearchSettings,
        on_candidates: Callable[[SearchCell, list[Trial]], None],
        on_tuned: Callable[[SearchCell, list[Trial]], None],
        fresh: dict[str, int],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._store, self._settings = store, settings
        self._on_candidates, self._on_tuned = on_candidates, on_tuned
        self._fresh = fresh
        self._begun: set[str] = set()
        self._unnamed: dict[int, float] = {}  # Optuna id -> when it was first seen so
        self.failed = 0
        storage = open_storage(settings.url)
        self._searches = [self._open(cell, storage) for cell in cells]
        self._order = collections.deque(self._searches)
        self._final: collections.deque[Trial] = collections.deque()
        for search in self._searches:
            self._ask_again(search)
        self._resume()

    def total(self) -> int:
        """Return how many trials the searches and their tuned runs come to."""
        return sum(s.target + len(self._settings.seeds) for s in self._searches)

    def next(self) -> Trial | Wait | None:
        """Return a resumed candidate, a tuned trial, or a new suggestion; cells take turns."""
        self._close()
        for _ in range(len(self._order)):
            search = self._order[0]
            self._order.rotate(-1)
            trial = search.resumed.popleft() if search.resumed else self._suggest(search)
            if trial is not None:
                return trial
        self._close()
        if self._final:
            return self._final.popleft()
        if all(s.tuned for s in self._searches):
            return None
        if time.monotonic() - self._resumed > RESUME_SECONDS:
            self._resume()
        return Wait()

    def on_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Tell the study an epoch's accuracy; return its pruner's decision."""
        search = next((s for s in self._searches if trial.key in s.waiting), None)
        if search is None or self._settings.pruner == "none":
            return False
        live = optuna.Trial(search.study, search.waiting[trial.key][0])
        if epoch in search.study._storage.get_trial(live._trial_id).intermediate_values:
            return False
        live.report(metrics["accuracy"], epoch)
        return live.should_prune()

    def on_end(self, trial: Trial, state: State, results: Mapping[str, float]) -> None:
        """Tell the study how a candidate ended."""
        for search in self._searches:
            for trial_id in search.waiting.pop(trial.key, []):
                self._tell(search, trial_id, state, results)

    # --- inside --------------------------------------------------------------------------------

    def _open(self, cell: SearchCell, storage: optuna.storages.BaseStorage) -> _Search:
        settings = self._settings
        study = optuna.create_study(
            study_name=f"{settings.study}:{cell.name}",
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            sampler=make_sampler(settings.sampler, settings.dimensions, settings.seed),
            pruner=make_pruner(settings.pruner),
        )
        asked = study.get_trials(deepcopy=False)
        self._check_ranges(study.study_name, asked)
        if not asked:
            for values in settings.enqueue:
                study.enqueue_trial(dict(values), skip_if_exists=True)
        elif settings.sampler != "grid":
            # a sampler started again with the same seed would repeat its first suggestions; a grid
            # must keep its order
            seed = settings.seed + len(asked)
            study.sampler = make_sampler(settings.sampler, settings.dimensions, seed)
        target = settings.trials
        if settings.sampler == "grid":
            target = min(target, math.prod(len(d.grid()) for d in settings.dimensions))
        return _Search(cell, study, target)

    def _check_ranges(self, name: str, asked: list[FrozenTrial]) -> None:
        for dimension in self._settings.dimensions:
            new = dimension.distribution()
            for old in (t.distributions[dimension.name] for t in asked if dimension.name in t.distributions):
                try:
                    check_distribution_compatibility(old, new)
                except ValueError as error:
                    raise SpecError(
                        f"search.space.{dimension.name}: {new} cannot continue the search {name!r}, which has "
                        f"{old}; allowed: other low and high, or another name of the study"
                    ) from error

    def _ask_again(self, search: _Search) -> None:
        """List the candidates of earlier sweeps; enqueue the values of those that are run again."""
        repeated = {TOLD[state] for state in self._settings.again}
        known = []
        for frozen in search.candidates():
            if KEY not in frozen.user_attrs:
                continue  # impossible values, or a driver that is naming them just now
            values = _values(frozen, self._settings.dimensions)
            trial = self._candidate(search, frozen._trial_id, values)
            if trial is None:
                continue
            known.append(trial)
            if frozen.state in repeated:
                search.study.enqueue_trial(values, {REPLACES: frozen.number})
        self._on_candidates(search.cell, known)

    def _resume(self) -> None:
        """Take over the candidates that a dead driver had asked for; leave a living one's alone."""
        self._resumed = time.monotonic()
        for search in self._searches:
            own = {trial_id for ids in search.waiting.values() for trial_id in ids}
            running = [t for t in search.candidates() if t.state is TrialState.RUNNING]
            asked = [(t._trial_id, self._asked(search, t)) for t in running if t._trial_id not in own]
            trials = [(trial_id, trial) for trial_id, trial in asked if trial is not None]
            statuses = self._store.statuses([trial.key for _, trial in trials])
            for trial_id, trial in trials:
                status = statuses.get(trial.key)
                if status and status.state is State.RUNNING and not is_dead(status.owner):
                    continue
                self._take(search, trial_id, trial, again=True)

    def _asked(self, search: _Search, frozen: FrozenTrial) -> Trial | None:
        """Return the trial of a candidate, None while another driver may be naming its values."""
        if KEY in frozen.user_attrs:
            return self._candidate(search, frozen._trial_id, _values(frozen, self._settings.dimensions))
        seen = self._unnamed.setdefault(frozen._trial_id, self._resumed)
        if self._resumed - seen < NAMING_SECONDS:
            return None
        return self._name(search, optuna.Trial(search.study, frozen._trial_id))

    def _name(self, search: _Search, live: optuna.Trial) -> Trial | None:
        """Return the trial of the values suggested for a candidate, None where they are impossible."""
        values: dict[str, Scalar] = {}
        for dimension in self._settings.dimensions:
            if all(values.get(name) == value for name, value in dimension.when.items()):
                values[dimension.name] = dimension.suggest(live)
        trial = self._candidate(search, live._trial_id, values)
        if trial is not None:
            live.set_user_attr(KEY, trial.key)
            self._on_candidates(search.cell, [trial])
        return trial

    def _candidate(self, search: _Search, trial_id: int, values: Mapping[str, Scalar]) -> Trial | None:
        """Return the trial of some values, or None where they are impossible together: it has failed."""
        try:
            return search.cell.candidate(values)
        except DvtaError as error:
            log.info("search %s: a candidate is impossible: %s", search.cell.name, error)
            self._tell(search, trial_id, State.FAILED, {})
            return None

    def _suggest(self, search: _Search) -> Trial | None:
        while len(search.candidates()) < search.target:
            live = search.study.ask()
            trial = self._name(search, live)
            if trial is not None and self._take(search, live._trial_id, trial):
                return trial
        return None

    def _take(self, search: _Search, trial_id: int, trial: Trial, again: bool = False) -> bool:
        """Return whether the trial must run; tell its value now where it has run before."""
        if any(trial.key in s.waiting for s in self._searches):
            search.waiting.setdefault(trial.key, []).append(trial_id)
            return False
        status = self._store.statuses([trial.key]).get(trial.key)
        if status and status.state.is_finished and not self._starts_over(trial, status):
            results = self._store.results([trial.key]).get(trial.key, {})
            self._tell(search, trial_id, status.state, results)
            return False
        search.waiting[trial.key] = [trial_id]
        self._begun.add(trial.key)
        if again:
            search.resumed.append(trial)
        return True

    def _starts_over(self, trial: Trial, status: TrialStatus) -> bool:
        """Return whether a finished trial is run again: once in a sweep, and not if it ended in this one."""
        if status.state not in self._settings.again or trial.key in self._begun:
            return False
        self._fresh[trial.key] = status.attempt_id
        return True

    @staticmethod
    def _tell(search: _Search, trial_id: int, state: State, results: Mapping[str, float]) -> None:
        live = optuna.Trial(search.study, trial_id)
        if search.study._storage.get_trial(trial_id).state.is_finished():
            return
        if state is State.DONE:
            search.study.tell(live, results[VALUE])
        else:
            search.study.tell(live, state=TOLD[state])

    def _close(self) -> None:
        """Queue the tuned trials of every search whose target is told."""
        for search in self._searches:
            if search.tuned or search.told() < search.target:
                continue
            search.tuned = True
            best = best_values(search.candidates(), self._settings.dimensions)
            if best is None:
                self.failed += 1
                log.warning("search %s: no candidate succeeded, nothing is tuned", search.cell.name)
                continue
            trials = [search.cell.tuned(best, seed) for seed in self._settings.seeds]
            self._on_tuned(search.cell, trials)
            statuses = self._store.statuses([t.key for t in trials])
            for trial in trials:
                status = statuses.get(trial.key)
                if status is None or not status.state.is_finished or self._starts_over(trial, status):
                    self._begun.add(trial.key)
                    self._final.append(trial)


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Open Optuna's database, creating its tables (in their own schema on PostgreSQL)."""
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        engine = {"connect_args": {"timeout": 60}}
    else:
        with sa.create_engine(url).begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    return optuna.storages.RDBStorage(url, engine_kwargs=engine)


def best_values(
    candidates: Iterable[FrozenTrial], dimensions: Iterable[Dimension]
) -> dict[str, Scalar] | None:
    """Return the values of the best told candidate, the earliest among equals, or None."""
    complete = [t for t in candidates if t.state is TrialState.COMPLETE]
    if not complete:
        return None
    best = max(complete, key=lambda t: (t.value or 0.0, -t.number))
    return _values(best, dimensions)


def _values(frozen: FrozenTrial, dimensions: Iterable[Dimension]) -> dict[str, Scalar]:
    return {d.name: frozen.params[d.name] for d in dimensions if d.name in frozen.params}
