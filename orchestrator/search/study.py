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
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from dvta.errors import DvtaError
from orchestrator.records import Wait
from orchestrator.search.check import MEASURED, check_ranges, repeat_label, study_name
from orchestrator.search.optuna_storage import live_trial, open_storage
from orchestrator.search.space import grid_values, in_range, left_of_grid, make_pruner, make_sampler, suggest
from orchestrator.spec.model import Axis, Search
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
BLIND = ("random", "grid")  # samplers whose suggestions owe nothing to what was told
AHEAD = 100  # suggestions asked for beside one that is begun
SEED_GAP = 100_000  # between the samplers of two repeats: more than a search has candidates
VALUE = "final_accuracy"  # of the validation classes, or of the test classes where asked for


@dataclasses.dataclass(frozen=True)
class SearchCell:
    """What is searched once: a point of the grid, for one repeat of the search.

    Attributes:
        name: the printed name of the cell, which the Optuna study has in its own.
        candidate: makes the trial of some values, on the validation (or test) classes.
        tuned: makes the trial of some values and a seed, on all seen classes.
        repeat: of the search, from 0; each has an Optuna study and a sampler's seed of its own.
    """

    name: str
    candidate: Callable[[Mapping[str, Scalar]], Trial]
    tuned: Callable[[Mapping[str, Scalar], int], Trial]
    repeat: int = 0

    @property
    def label(self) -> str:
        """The name that tells the repeats apart; the first has none of its own."""
        return repeat_label(self.name, self.repeat)


@dataclasses.dataclass
class _Search:
    cell: SearchCell
    study: optuna.Study
    space: Mapping[str, Axis]
    target: int
    waiting: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # trial key -> numbers
    resumed: collections.deque[Trial] = dataclasses.field(default_factory=collections.deque)
    tuned: bool = False

    def candidates(self) -> list[FrozenTrial]:
        """Return what was asked for, less what another took the place of or lies outside of today's ranges."""
        trials = self.study.get_trials(deepcopy=False)
        gone = {t.user_attrs.get(REPLACES) for t in trials}
        asked = [t for t in trials if t.state is not TrialState.WAITING and t.number not in gone]
        return [t for t in asked if t.state is not TrialState.COMPLETE or in_range(self.space, t.params)]

    def frozen(self, number: int) -> FrozenTrial:
        """Return what is stored of a candidate."""
        return self.study.get_trials(deepcopy=False)[number]

    def told(self) -> int:
        return sum(t.state.is_finished() for t in self.candidates())


class SearchTrials:
    """A :class:`orchestrator.execute.sources.TrialSource`: candidates of every cell, then the tuned trials.

    Args:
        store: asked for values of trials that ended before.
        search: how every cell is searched; its ``trials`` are a target, not an increment.
        name: of the study; with a cell's name, that of its Optuna study.
        url: of Optuna's database.
        seeds: of the tuned trials.
        again: states in which candidates and tuned trials of earlier sweeps are run again.
        on_candidates: is called with a cell and candidates of its study, old and new.
        on_tuned: is called with a cell and its tuned trials once its search has ended.

    Attributes:
        failed: cells where no candidate succeeded.
    """

    def __init__(
        self,
        store: Store,
        cells: Sequence[SearchCell],
        search: Search,
        *,
        name: str,
        url: str,
        seeds: Sequence[int],
        again: frozenset[State],
        on_candidates: Callable[[SearchCell, list[Trial]], None],
        on_tuned: Callable[[SearchCell, list[Trial]], None],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._store, self._search, self._name_of_study = store, search, name
        self._seeds, self._again = seeds, again
        self._on_candidates, self._on_tuned = on_candidates, on_tuned
        self._replaced: dict[str, int] = {}  # key -> the finished attempt that a new one replaces
        self._begun: set[str] = set()
        self._unnamed: dict[tuple[str, int], float] = {}  # cell, number -> when it was first seen so
        self.failed = self._ahead = 0
        storage = open_storage(url)
        self._searches = [self._open(cell, storage) for cell in cells]
        self._order = collections.deque(self._searches)
        self._final: collections.deque[Trial] = collections.deque()
        self._wanted: set[str] = set()  # keys of tuned trials
        for each in self._searches:
            self._ask_again(each)
        self._resume()

    def total(self) -> int:
        """Return how many trials the searches and their tuned runs come to."""
        return sum(s.target + len(self._seeds) for s in self._searches)

    def next(self) -> Trial | Wait | None:
        """Return a resumed candidate, a tuned trial, or a new suggestion; cells take turns."""
        self._ahead = 0
        self._close()
        for _ in range(len(self._order)):
            search = self._order[0]
            self._order.rotate(-1)
            trial = search.resumed.popleft() if search.resumed else self._suggest(search)
            if trial is not None:
                return trial
        self._close()
        if (tuned := self._next_tuned()) is not None:
            return tuned
        if all(s.tuned for s in self._searches):
            return None
        if time.monotonic() - self._resumed > RESUME_SECONDS:
            self._resume()
        return Wait()

    def ready(self) -> Trial | None:
        """Return a candidate or tuned trial that is known by now; a sampler that learns is not asked ahead."""
        for search in self._searches:
            if search.resumed:
                return search.resumed.popleft()
        if self._search.sampler in BLIND and self._ahead < AHEAD:
            self._ahead += 1
            for search in self._searches:
                if (trial := self._suggest(search)) is not None:
                    return trial
        return self._next_tuned()

    def on_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Tell the study an epoch's accuracy; return its pruner's decision."""
        search = next((s for s in self._searches if trial.key in s.waiting), None)
        if search is None or self._search.pruner == "none":
            return False
        number = search.waiting[trial.key][0]
        if epoch in search.frozen(number).intermediate_values:
            return False
        live = live_trial(search.study, number)
        live.report(metrics["accuracy"], epoch)
        return live.should_prune()

    def left_out_reasons(self) -> list[str]:
        """Nothing: a search without a good candidate has said so."""
        return []

    def replaces(self, trial: Trial) -> int | None:
        """Return the attempt that a trial which starts over replaces."""
        return self._replaced.get(trial.key)

    def on_end(self, trial: Trial, state: State, results: Mapping[str, float]) -> None:
        """Tell the study how a candidate ended."""
        for search in self._searches:
            for number in search.waiting.pop(trial.key, []):
                self._tell(search, number, state, results)
        if state is State.PRUNED and trial.key in self._wanted and trial not in self._final:
            self._final.append(trial)

    # --- inside --------------------------------------------------------------------------------

    def _open(self, cell: SearchCell, storage: optuna.storages.BaseStorage) -> _Search:
        settings = self._search
        first_seed = settings.seed + SEED_GAP * cell.repeat
        study = optuna.create_study(
            study_name=study_name(self._name_of_study, cell.name, cell.repeat),
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            sampler=make_sampler(settings.sampler, settings.space, first_seed),
            pruner=make_pruner(settings.pruner),
        )
        with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
            study.set_metric_names([MEASURED[settings.objective]])
        asked = study.get_trials(deepcopy=False)
        check_ranges(settings, study.study_name, [t.distributions for t in asked])
        if not asked:
            for values in settings.enqueue:
                study.enqueue_trial(dict(values), skip_if_exists=True)
        elif settings.sampler != "grid":
            # a sampler started again with the same seed would repeat its first suggestions; a grid
            # must keep its order
            seed = first_seed + len(asked)
            study.sampler = make_sampler(settings.sampler, settings.space, seed)
        search = _Search(cell, study, settings.space, settings.trials)
        if settings.sampler == "grid":
            search.target = self._grid_target(search)
        return search

    def _grid_target(self, search: _Search) -> int:
        """Return how many candidates try a whole grid; what others have left of it comes next.

        Optuna's sampler counts the points of the very same grid alone: of a range that has grown it tries some
        twice and leaves others out.
        """
        settings = self._search
        tried = [t.params for t in search.candidates() if t.params]
        size = math.prod(len(grid_values(axis)) for axis in settings.space.values())
        if not tried:
            return min(settings.trials, size)
        left, outside = left_of_grid(settings.space, tried)
        target = min(settings.trials, size + outside)
        for point in left[: max(0, target - len(tried))]:
            search.study.enqueue_trial(point, skip_if_exists=True)
        return target

    def _ask_again(self, search: _Search) -> None:
        """List the candidates of earlier sweeps; enqueue the values of those that are run again."""
        repeated = {TOLD[state] for state in self._again}
        known = []
        for frozen in search.candidates():
            if KEY not in frozen.user_attrs:
                continue  # impossible values, or a driver that is naming them just now
            values = _values(frozen, self._search.space)
            trial = self._candidate(search, frozen.number, values)
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
            own = {number for ids in search.waiting.values() for number in ids}
            running = [t for t in search.candidates() if t.state is TrialState.RUNNING]
            asked = [(t.number, self._asked(search, t)) for t in running if t.number not in own]
            trials = [(number, trial) for number, trial in asked if trial is not None]
            statuses = self._store.statuses([trial.key for _, trial in trials])
            for number, trial in trials:
                status = statuses.get(trial.key)
                if status and status.state is State.RUNNING and not is_dead(status.owner):
                    continue
                self._take(search, number, trial, again=True)

    def _asked(self, search: _Search, frozen: FrozenTrial) -> Trial | None:
        """Return the trial of a candidate, None while another driver may be naming its values."""
        if KEY in frozen.user_attrs:
            return self._candidate(search, frozen.number, _values(frozen, self._search.space))
        seen = self._unnamed.setdefault((search.cell.label, frozen.number), self._resumed)
        if self._resumed - seen < NAMING_SECONDS:
            return None
        return self._name(search, live_trial(search.study, frozen.number))

    def _name(self, search: _Search, live: optuna.Trial) -> Trial | None:
        """Return the trial of the values suggested for a candidate, None where they are impossible."""
        values: dict[str, Scalar] = {}
        for axis_name, axis in self._search.space.items():
            if all(values.get(other) == value for other, value in axis.when.items()):
                # a dead driver may have been given some of the values
                known = live.params
                values[axis_name] = known[axis_name] if axis_name in known else suggest(live, axis_name, axis)
        trial = self._candidate(search, live.number, values)
        if trial is not None:
            live.set_user_attr(KEY, trial.key)
            self._on_candidates(search.cell, [trial])
        return trial

    def _candidate(self, search: _Search, number: int, values: Mapping[str, Scalar]) -> Trial | None:
        """Return the trial of some values, or None where they are impossible together: it has failed."""
        try:
            return search.cell.candidate(values)
        except DvtaError as error:
            log.info("search %s: a candidate is impossible: %s", search.cell.label, error)
            self._tell(search, number, State.FAILED, {})
            return None

    def _suggest(self, search: _Search) -> Trial | None:
        while len(search.candidates()) < search.target:
            live = search.study.ask()
            trial = self._name(search, live)
            if trial is not None and self._take(search, live.number, trial):
                return trial
        return None

    def _take(self, search: _Search, number: int, trial: Trial, again: bool = False) -> bool:
        """Return whether the trial must run; tell its value now where it has run before."""
        if any(trial.key in s.waiting for s in self._searches):
            search.waiting.setdefault(trial.key, []).append(number)
            return False
        status = self._store.statuses([trial.key]).get(trial.key)
        if status and status.state.is_finished and not self._starts_over(trial, status):
            results = self._store.results([trial.key]).get(trial.key, {})
            self._tell(search, number, status.state, results)
            return False
        search.waiting[trial.key] = [number]
        self._begun.add(trial.key)
        if again:
            search.resumed.append(trial)
        return True

    def _starts_over(self, trial: Trial, status: TrialStatus) -> bool:
        """Return whether a finished trial is run again: once in a sweep, and not if it ended in this one."""
        if status.state not in self._again or trial.key in self._begun:
            return False
        self._replaced[trial.key] = status.attempt_id
        return True

    def _is_wanted(self, trial: Trial, status: TrialStatus) -> bool:
        """Return whether a finished tuned trial is run again: also one that was pruned as a candidate."""
        if status.state is State.PRUNED:
            self._replaced[trial.key] = status.attempt_id
            return True
        return self._starts_over(trial, status)

    @staticmethod
    def _tell(search: _Search, number: int, state: State, results: Mapping[str, float]) -> None:
        if search.frozen(number).state.is_finished():
            return
        if state is State.DONE:
            search.study.tell(number, results[VALUE])
        else:
            search.study.tell(number, state=TOLD[state])

    def _close(self) -> None:
        """Queue the tuned trials of every search whose target is told."""
        for search in self._searches:
            if search.tuned or search.told() < search.target:
                continue
            search.tuned = True
            best = best_values(search.candidates(), self._search.space)
            if best is None:
                self.failed += 1
                log.warning("search %s: no candidate succeeded, nothing is tuned", search.cell.label)
                continue
            trials = [search.cell.tuned(best, seed) for seed in self._seeds]
            self._on_tuned(search.cell, trials)
            self._wanted.update(trial.key for trial in trials)
            self._final.extend(trials)

    def _next_tuned(self) -> Trial | None:
        """Return the next tuned trial that has to run; as a candidate it may have run since it was queued."""
        while self._final:
            trial = self._final.popleft()
            status = self._store.statuses([trial.key]).get(trial.key)
            if status is None or not status.state.is_finished or self._is_wanted(trial, status):
                self._begun.add(trial.key)
                return trial
        return None


def best_values(candidates: Iterable[FrozenTrial], space: Mapping[str, Axis]) -> dict[str, Scalar] | None:
    """Return the values of the best told candidate, the earliest among equals, or None."""
    complete = [t for t in candidates if t.state is TrialState.COMPLETE]
    if not complete:
        return None
    best = max(complete, key=lambda t: (t.value or 0.0, -t.number))
    return _values(best, space)


def _values(frozen: FrozenTrial, space: Mapping[str, Axis]) -> dict[str, Scalar]:
    return {name: frozen.params[name] for name in space if name in frozen.params}
