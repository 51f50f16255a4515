"""The one function that runs a study: execute its plan, record, mirror."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Protocol

from orchestrator import provenance
from orchestrator.errors import SpecError
from orchestrator.execute.driver import Driver, Listener, SweepOptions
from orchestrator.execute.inputs import Inputs
from orchestrator.execute.protocol import Executor
from orchestrator.execute.sources import Chained, PlannedTrials, TrialSource
from orchestrator.mirror import Mirror, MirrorThread
from orchestrator.records import StudySummary
from orchestrator.settings import Settings
from orchestrator.spec.model import Resources, Spec
from orchestrator.store import Store
from orchestrator.study.expand import encoder_slots, searched_cells
from orchestrator.study.plan import Plan, plan_study
from orchestrator.study.study import Study, save_study
from orchestrator.trial import State, Trial


class Display(Listener, contextlib.AbstractContextManager["Display"], Protocol):
    """Shows a sweep to a person while it runs."""

    def begin(self, total: int, name: Callable[[Trial], str], *, simulated: bool) -> None:
        """Prepare for ``total`` trials, called by ``name``."""

    def say(self, line: str, *, error: bool = False) -> None:
        """Print a line."""


def check_study(study: Study, settings: Settings) -> None:
    """Ask what can still refuse a study that was read: whether its searches can begin or go on.

    Nothing is written. Encoders without the validation classes become known to the resolver.

    Raises:
        DvtaError: a candidate is impossible or lacks its data, or the space has changed in kind.
    """
    if study.spec.search is not None:
        from orchestrator.search.check import check_search

        cells = searched_cells(study.spec, study.slots)
        try:
            check_search(study.spec, cells, study.resolver, settings.optuna)
        except SpecError as error:
            raise SpecError(f"{study.path}: {error}" if study.path else str(error)) from None


def run_study(
    study: Study,
    plan: Plan,
    store: Store,
    settings: Settings,
    executor: Executor,
    display: Display,
    *,
    fail_fast: bool = False,
    mirror: bool = True,
) -> int:
    """Run a plan; return the exit code: 0 done, 1 some trials failed, 130 interrupted.

    A trial of the study that failed before, or in another sweep, has failed too.
    """
    check_study(study, settings)
    study_id = save_study(study, store)
    trials, total = _source(study, plan, store, settings, study_id)
    display.begin(total, _names(store), simulated=plan.simulated > 0)
    driver = Driver(
        store,
        trials,
        Inputs(study.resolver, retrain=State.DONE in plan.again, workers=study.spec.resources.workers),
        _options(study.spec, settings, fail_fast),
        display,
        provenance.collect(),
    )
    copying = (
        MirrorThread(
            Mirror(store, settings.mlflow, f"{settings.runs}/models"),
            study.spec.study,
            functools.partial(_summary, store, study_id),
        )
        if mirror
        else contextlib.nullcontext()
    )
    with copying, display:
        driver.run(executor)
    for line in trials.left_out_reasons():
        display.say(line, error=True)
    if driver.displaced is not None:
        display.say(f"error: {driver.displaced}", error=True)
        return 1
    if driver.interrupted and not (fail_fast and driver.failed):
        display.say("interrupted; run the same command again to go on")
        return 130
    failed = store.standing(study_id).counts.get(State.FAILED, 0)
    return 1 if failed or trials.failed else 0


def make_executor(kind: str, address: str, spec: Spec) -> contextlib.AbstractContextManager[Executor]:
    """Return the executor a person chose, to be entered before it runs anything."""
    if kind == "inline":
        from orchestrator.execute.inline import InlineExecutor

        return contextlib.nullcontext(InlineExecutor())
    return _on_ray(address, spec.resources)


@contextlib.contextmanager
def _on_ray(address: str, resources: Resources) -> Iterator[Executor]:
    from orchestrator.execute.ray_cluster import joined

    with joined(address, resources):
        from orchestrator.execute.ray_tune import RayTuneExecutor

        yield RayTuneExecutor(resources)


def _source(
    study: Study, plan: Plan, store: Store, settings: Settings, study_id: int
) -> tuple[TrialSource, int]:
    """Return where the driver gets its trials, and how many there are at most."""
    if study.spec.search is None:
        # a leased trial ends elsewhere, or here when its lease runs out
        planned = (*plan.to_run, *plan.leased)
        return PlannedTrials(planned, (t.key for t in plan.done), replaced=plan.replaced), len(planned)
    from orchestrator.search.build import SearchBuilder

    search = SearchBuilder(study, store, study_id).build(settings, plan.again)
    slots = list(encoder_slots([t for t, _ in study.resolver.encoders.values()]))
    store.add_slots(study_id, slots)
    encoders = plan_study(
        dataclasses.replace(study, slots=tuple(slots)),
        store,
        retry=State.FAILED in plan.again,
        redo=State.DONE in plan.again,
    )
    to_train = (*encoders.to_run, *encoders.leased)
    first = PlannedTrials(to_train, replaced=encoders.replaced, wait=True)
    return Chained(first, search, blocked=bool(encoders.failed)), search.total() + len(to_train)


def _options(spec: Spec, settings: Settings, fail_fast: bool) -> SweepOptions:
    return SweepOptions(
        checkpoints=f"{settings.runs}/checkpoints",
        models=f"{settings.runs}/models",
        runs=settings.runs,
        log_bytes=settings.log_kib * 1024,
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
        stack=spec.resources.stack,
    )


def _summary(store: Store, study_id: int) -> StudySummary:
    from orchestrator.report.summary import summarize

    return summarize(store, study_id)


def _names(store: Store) -> Callable[[Trial], str]:
    """Return what the store calls a trial, asked for once each."""
    known: dict[str, str] = {}

    def name(trial: Trial) -> str:
        if trial.key not in known:
            known.update(store.names([trial.key]))
        return known.get(trial.key, trial.key)

    return name
