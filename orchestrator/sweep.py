"""A sweep from its spec to its end: expand, plan, execute, record, mirror."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dvta import datasets, features
from dvta.methods import METHODS
from dvta.skeleton import splits
from orchestrator import provenance
from orchestrator.cli.progress import SweepProgress
from orchestrator.errors import SpecError
from orchestrator.execute.driver import Driver, SweepOptions
from orchestrator.execute.protocol import Executor
from orchestrator.execute.sources import Chained, PlannedTrials, TrialSource
from orchestrator.mirror import Mirror, MirrorThread
from orchestrator.records import Slot
from orchestrator.search.space import Dimension
from orchestrator.search.study import SearchCell, SearchSettings, SearchTrials
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.model import Spec
from orchestrator.store import Store
from orchestrator.store.owner import is_dead
from orchestrator.study import visual as encoding
from orchestrator.study.expand import PUBLISHED, Resolver, encoder_slots, expand, grid_cells
from orchestrator.study.plan import Plan, make_plan
from orchestrator.tables import GENERALISED, layout
from orchestrator.trial import Scalar, State, Trial, names_beside


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
        SpecError: the spec is wrong. DataError: real data are asked for and missing.
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
    return Study(spec, slots, resolver)


def make_resolver(settings: Settings, source: str) -> Resolver:
    """Return the resolver of the data root and the runs of some settings."""
    return Resolver(
        functools.partial(features.locate, settings.data),
        source,
        functools.partial(splits.load, settings.data),
        functools.partial(encoding.folder_of, settings.runs),
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
        if config.get("kind") == "profile" and config["method"] in methods
    ]
    return Study(spec, tuple(slots), resolver)


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


def save_study(study: Study, store: Store) -> int:
    """Record a study and its cells (a search's appear as it goes on); return its id."""
    spec = study.spec
    arguments = {
        "profile": spec.profile,
        "source": spec.source,
        "set": {k: str(v) for k, v in spec.forced.items()},
    }
    return store.save_study(spec.study, spec.text, study.slots if spec.search is None else [], arguments)


def _has_features(study: Study, trial: Trial) -> bool:
    resolver = study.resolver
    return encoding.is_there(resolver.encoded(trial.key), resolver.wanted.get(trial.key, frozenset()))


def run_study(
    study: Study,
    plan: Plan,
    store: Store,
    settings: Settings,
    executor: Executor,
    console: Console,
    *,
    fail_fast: bool = False,
    mirror: bool = True,
) -> int:
    """Run a plan; return the exit code: 0 done, 1 some trials failed, 130 interrupted.

    A trial of the study that failed before, or in another sweep, has failed too.
    """
    spec = study.spec
    study_id = save_study(study, store)
    trials: TrialSource
    fresh = dict(plan.fresh)
    planned = PlannedTrials((*plan.to_run, *plan.leased), (t.key for t in plan.done))
    if spec.search is None:
        # a leased trial ends elsewhere, or here when its lease runs out
        trials, total = planned, len(plan.to_run) + len(plan.leased)
    else:
        searched = _search(study, store, settings, study_id, plan.again, fresh)
        slots = list(encoder_slots([t for t, _ in study.resolver.encoders.values()]))
        store.add_slots(study_id, slots)
        encoders = plan_study(
            dataclasses.replace(study, slots=tuple(slots)),
            store,
            retry=State.FAILED in plan.again,
            redo=State.DONE in plan.again,
        )
        fresh |= encoders.fresh
        first = PlannedTrials((*encoders.to_run, *encoders.leased), wait=True)
        trials = Chained(first, searched, blocked=bool(encoders.failed))
        total = searched.total() + len(encoders.to_run) + len(encoders.leased)
    options = SweepOptions(
        checkpoints=f"{settings.runs}/checkpoints",
        models=f"{settings.runs}/models",
        keep_model=lambda trial: (
            spec.checkpoint.models == "all"
            or (spec.checkpoint.models == "first_seed" and trial.seed == spec.seeds[0])
        ),
        lease_seconds=spec.lease_seconds,
        checkpoint_seconds=spec.checkpoint.every_seconds,
        report_seconds=0.0 if spec.search and spec.search.pruner != "none" else 1.0,
        threads=max(1, int(spec.resources.cpus_per_trial)),
        precision=spec.precision,
        fail_fast=fail_fast,
        restarts=spec.resources.restarts,
        fresh=fresh,
    )
    progress = SweepProgress(console, total, _names(plan), source="simulated" if plan.simulated else "real")
    driver = Driver(
        store,
        trials,
        functools.partial(_load, study.resolver),
        options,
        progress,
        provenance.collect(),
        held_out=_held_out,
        payload=functools.partial(_payload, study.resolver, plan),
    )
    copying = MirrorThread(Mirror(store, settings.mlflow)) if mirror else contextlib.nullcontext()
    with copying, progress:
        driver.run(executor)
    if planned.unmet:
        console.print(f"{len(planned.unmet)} trials were left out: the encoder they need failed", style="red")
    if isinstance(trials, Chained) and trials.blocked:
        console.print("the search was left out: an encoder it needs failed", style="red")
    if driver.interrupted and not (fail_fast and driver.failed):
        console.print("interrupted; run the same command again to go on", style="yellow")
        return 130
    failed = store.standing(study_id).counts.get(State.FAILED, 0)
    return 1 if failed or trials.failed else 0


def _held_out(trial: Trial) -> tuple[int, ...]:
    if trial.evaluate_on != "validation":
        return ()
    return datasets.get(trial.dataset).split(trial.split).validation


def _load(resolver: Resolver, trial: Trial) -> features.FeatureSet | splits.SkeletonSplit:
    """Return what a trial reads: skeletons for an encoder, else features, which it may have made."""
    if trial.kind == "encoder":
        return resolver.encoders[trial.key][1]
    ref = resolver.refs[trial.data_digest]
    if trial.needs is not None:
        ref = dataclasses.replace(ref, folder=encoding.fetch(resolver.encoded(trial.needs)))
    return ref.load()


def _payload(resolver: Resolver, plan: Plan, trial: Trial) -> Mapping[str, object]:
    if trial.kind == "encoder":
        return {
            "features": resolver.encoded(trial.key),
            "needs": sorted(resolver.wanted.get(trial.key, ())),
            # a trained encoder only makes what is missing, unless it is asked for again
            "keep": State.DONE not in plan.again,
        }
    if trial.evaluate_on != "gzsl":
        return {}
    return {"validation": datasets.get(trial.dataset).split(trial.split).validation}


def _names(plan: Plan) -> Callable[[Trial], str]:
    """Return what to call a trial: by what tells it from the plan's other trials of its kind."""
    names = names_beside([t.config() for t in plan.to_run])
    known = {t.key: name for t, name in zip(plan.to_run, names, strict=True)}
    return lambda trial: known.get(trial.key) or trial.name()


def _search(
    study: Study,
    store: Store,
    settings: Settings,
    study_id: int,
    again: frozenset[State],
    fresh: dict[str, int],
) -> SearchTrials:
    """Build the searches of a spec: one cell a point of its grid.

    Args:
        again: states in which trials of earlier sweeps start over; their keys and attempts are put into ``fresh``.
    """
    spec = study.spec
    assert spec.search is not None
    search = spec.search
    evaluate_on = "validation" if search.objective == "val_acc" else "unseen"
    filled = {s.row for s in study.slots if s.trial and s.table == "grid"}
    points = {row: config for row, config in grid_cells(spec) if row in filled}

    def candidate(config: Mapping[str, Any], values: Mapping[str, Scalar]) -> Trial:
        return study.resolver.trial({**config, **values, "evaluate_on": evaluate_on}, search.seed)

    def tuned(config: Mapping[str, Any], values: Mapping[str, Scalar], seed: int) -> Trial:
        return study.resolver.trial({**config, **values}, seed)

    for config in points.values():
        # encoders without the validation classes become known before the search begins
        candidate(config, {})

    def on_candidates(cell: SearchCell, trials: list[Trial]) -> None:
        column = "validation accuracy" if search.objective == "val_acc" else "test accuracy"
        store.add_slots(study_id, [Slot("search", cell.name, column, trial) for trial in trials])

    def on_tuned(cell: SearchCell, trials: list[Trial]) -> None:
        label = f"{cell.name} tuned" + (" on the test classes" if search.objective == "test" else "")
        columns = GENERALISED if spec.protocol == "gzsl" else ("accuracy",)
        store.add_slots(study_id, [Slot("grid", label, c, trial) for c in columns for trial in trials])

    dimensions = tuple(
        Dimension(n, a.type, a.low, a.high, a.log, a.step, tuple(a.choices), a.when)
        for n, a in search.space.items()
    )
    return SearchTrials(
        store,
        [
            SearchCell(row, functools.partial(candidate, config), functools.partial(tuned, config))
            for row, config in points.items()
        ],
        SearchSettings(
            study=spec.study,
            url=settings.optuna,
            dimensions=dimensions,
            trials=search.trials,
            sampler=search.sampler,
            pruner=search.pruner,
            seed=search.seed,
            enqueue=tuple(search.enqueue),
            seeds=tuple(spec.seeds),
            again=again,
        ),
        on_candidates,
        on_tuned,
        fresh,
    )


def make_executor(kind: str, address: str, spec: Spec) -> contextlib.AbstractContextManager[Executor]:
    """Return the executor a person chose, to be entered before it runs anything."""
    if kind == "inline":
        from orchestrator.execute.inline import InlineExecutor

        return contextlib.nullcontext(InlineExecutor())
    from orchestrator.execute.cluster import Resources
    from orchestrator.execute.ray_tune import RayTuneExecutor

    return RayTuneExecutor(address, Resources(**spec.resources.model_dump()))


def console() -> Console:
    """Return the console for progress: standard error, so that output can be piped."""
    return Console(file=sys.stderr, highlight=False)
