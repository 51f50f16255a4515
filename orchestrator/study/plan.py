"""What a sweep would do: desired minus done. Pure; ``--dry-run`` prints it, ``sweep`` executes it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from orchestrator.records import VALIDATION, Slot, TrialStatus
from orchestrator.store import Store
from orchestrator.store.owner import is_dead
from orchestrator.study import feature_folders
from orchestrator.study.study import Study
from orchestrator.trial import Kind, State, Trial


@dataclasses.dataclass(frozen=True)
class Plan:
    """The trials of a spec by what happens to them.

    Attributes:
        cells: trial slots of the tables and grids, for one seed; an average counts its splits.
        distinct: distinct trials, all seeds.
        to_run: trials this sweep runs, in order; ``encoders`` of them train visual encoders.
        replaced: key -> the finished attempt that a new one replaces, of those of them that start over.
        again: the states in which trials of earlier sweeps start over.
        done, failed, leased: trials it leaves alone; leased ones are another sweep's.
        missing: reason -> slots that cannot be filled.
        seconds: estimated training time of ``to_run`` on one worker, None without like trials.
    """

    cells: int
    distinct: int
    encoders: int
    seeds: int
    to_run: tuple[Trial, ...]
    replaced: Mapping[str, int]
    again: frozenset[State]
    done: tuple[Trial, ...]
    failed: tuple[Trial, ...]
    leased: tuple[Trial, ...]
    missing: Mapping[str, int]
    seconds: float | None

    @property
    def simulated(self) -> int:
        """How many trials read simulated data."""
        return sum(t.source == "simulated" for t in (*self.to_run, *self.done, *self.failed, *self.leased))


def plan_study(study: Study, store: Store | None, *, retry: bool = False, redo: bool = False) -> Plan:
    """Return the plan of a study against a store, or against nothing.

    Leases of dead processes of this machine are let go first.
    """
    if store is None:
        return make_plan(study.slots, {})
    keys = {slot.trial.key for slot in study.slots if slot.trial}
    statuses = store.statuses(keys)
    dead = {s.owner for s in statuses.values() if s.state is State.RUNNING and is_dead(s.owner)}
    for owner in dead:
        store.release_all(owner)
    if dead:
        statuses = store.statuses(keys)
    lost = frozenset(
        key
        for key, (trial, _) in study.resolver.encoders.items()
        if (status := statuses.get(key)) and status.state is State.DONE and not _has_features(study, trial)
    )
    pace = store.seconds_per_epoch()
    return make_plan(study.slots, statuses, retry=retry, redo=redo, pace=pace, lost=lost)


def _has_features(study: Study, trial: Trial) -> bool:
    resolver = study.resolver
    extra = resolver.extra_features.get(trial.key, frozenset())
    folder, weights = resolver.feature_folder(trial.key), resolver.weights_file(trial.key)
    return feature_folders.is_complete(folder, weights, extra)


def make_plan(
    slots: Sequence[Slot],
    statuses: Mapping[str, TrialStatus],
    *,
    retry: bool = False,
    redo: bool = False,
    pace: Mapping[tuple[str, str], float] | None = None,
    lost: frozenset[str] = frozenset(),
) -> Plan:
    """Sort the distinct trials of ``slots`` by their status; encoders come before what reads them.

    Args:
        lost: keys of encoder trials that are done but whose features are gone.
        retry: run failed trials again. redo: run done ones again, and the pruned candidates of a search.
        pace: seconds per epoch by (method, dataset), for the estimate.
    """
    trials = list({s.trial.key: s.trial for s in slots if s.trial}.values())
    trials.sort(key=lambda t: t.kind is not Kind.ENCODER)
    groups: dict[str, list[Trial]] = {"run": [], "done": [], "failed": [], "leased": []}
    replaced: dict[str, int] = {}
    repeated = frozenset([State.FAILED] * retry + [State.DONE, State.PRUNED] * redo)
    for trial in trials:
        status = statuses.get(trial.key)
        state = status.state if status else None
        # what a search's pruner stopped has no number, which is wanted here
        again = state in repeated or state is State.PRUNED or (state is State.DONE and trial.key in lost)
        if status is None or state is State.INTERRUPTED or again:
            groups["run"].append(trial)
            if status and again:
                replaced[trial.key] = status.attempt_id
        else:
            assert state is not None
            named = {State.RUNNING: "leased", State.FAILED: "failed", State.DONE: "done"}
            groups[named[state]].append(trial)
    missing: dict[str, int] = {}
    for slot in slots:
        if slot.missing:
            missing[slot.missing] = missing.get(slot.missing, 0) + 1
    seeds = len({t.seed for t in trials if t.kind is Kind.ALIGNMENT}) or 1
    # an average over splits repeats trials of its own row
    placed = {(s.table, s.row, s.trial.key): s.trial.kind for s in slots if s.trial and s.table != VALIDATION}
    kinds = collections.Counter(placed.values())
    return Plan(
        # a profile has one seed only
        cells=kinds[Kind.ALIGNMENT] // seeds + kinds[Kind.PROFILE],
        distinct=len(trials),
        encoders=sum(t.kind is Kind.ENCODER for t in groups["run"]),
        seeds=seeds,
        to_run=tuple(groups["run"]),
        replaced=replaced,
        again=repeated,
        done=tuple(groups["done"]),
        failed=tuple(groups["failed"]),
        leased=tuple(groups["leased"]),
        missing=missing,
        seconds=_estimate(groups["run"], pace or {}),
    )


def _estimate(trials: Sequence[Trial], pace: Mapping[tuple[str, str], float]) -> float | None:
    known = [(t, pace.get((t.method, t.dataset))) for t in trials if "epochs" in t.training]
    if any(seconds is None for _, seconds in known):
        return None
    return sum(float(t.training.get("epochs") or 0) * (seconds or 0.0) for t, seconds in known)
