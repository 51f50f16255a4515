"""The driver on a real store, with executors that go wrong on purpose."""

import math

import pytest
import sqlalchemy as sa
import torch
from rich.console import Console

from dvta.methods.dvta import DVTA
from orchestrator.cli.progress import SweepProgress
from orchestrator.execute import worker
from orchestrator.execute.checkpoints import Checkpoints
from orchestrator.execute.driver import Driver, SweepOptions
from orchestrator.execute.inline import InlineExecutor
from orchestrator.execute.protocol import Job, Report
from orchestrator.execute.sources import PlannedTrials
from orchestrator.records import EpochRow, Failure, Outcome, Wait
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import run_study
from orchestrator.trial import State, Trial
from tests.sweeps import settings_of, sweep


def begin(jobs):
    """Return the next job as a worker that is free begins it, ``Wait`` or None where there is none."""
    while isinstance(trials := jobs.next_trials(), tuple):
        (trial,) = trials
        if (job := jobs.claim(trial)) is not None:
            return job
    return trials


OUTCOME = Outcome({"final_accuracy": 0.5}, {}, 1.0)


class Told:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def started(self, trial, claim):
        self.lines.append(f"started {trial.seed}")

    def epoch(self, trial, epoch, metrics):
        pass

    def restarted(self, trial, error):
        self.lines.append(f"restarted {trial.seed}")

    def ended(self, trial, state, message):
        self.lines.append(f"{state} {trial.seed}")


class Scripted:
    """An executor whose runs are the functions it is given, one after the other, each with ``alone``."""

    def __init__(self, *runs):
        self.runs = list(runs)

    def run(self, jobs, *, alone=False):
        self.runs.pop(0)(jobs, alone)


def make(seed=0, **more):
    return Trial("dvta", 1, "ntu60", "55/5", "v", "t", seed, "simulated", "d", {}, {"epochs": 1}, **more)


class NoInputs:
    """Trials that read nothing."""

    def load(self, trial):
        return None

    def held_out(self, trial):
        return ()

    def payload(self, trial):
        return None


def drive(store, trials, executor, **options):
    told = Told()
    driver = Driver(
        store, PlannedTrials(trials), NoInputs(), SweepOptions(checkpoints="c", **options), told, {}
    )
    driver.POLL_SECONDS = 0.0
    driver.run(executor)
    return driver, told


def open_store(tmp_path):
    return Store.open(f"sqlite:///{tmp_path}/dvta.db")


def test_a_lease_lost_between_reports_leaves_the_trial_to_its_new_holder(tmp_path):
    store = open_store(tmp_path)
    encoder = make(kind="encoder")
    reader = make(1, depends_on=encoder.key)

    def run(jobs, alone):
        job = begin(jobs)
        with store.engine.begin() as connection:
            connection.execute(sa.text("UPDATE attempt SET owner = 'other/x/y/1/1/z', lease_until = 1e12"))
        while not jobs._active[job.attempt_id].lost:  # noticed by the thread that renews
            pass
        assert jobs.on_report(Report(job.attempt_id, (EpochRow(1, 0.0, {"loss": 1.0}),)))
        assert isinstance(begin(jobs), Wait)
        store.record(job.attempt_id, "other/x/y/1/1/z", [], outcome=OUTCOME)
        while isinstance(job := begin(jobs), Wait):
            pass
        assert job.trial["depends_on"] == encoder.key
        jobs.on_report(Report(job.attempt_id, outcome=OUTCOME))
        assert begin(jobs) is None

    driver, told = drive(store, [encoder, reader], Scripted(run), lease_seconds=0.2)
    assert told.lines == ["started 0", "restarted 0", "done 0", "started 1", "done 1"]
    assert (driver.done, driver.interrupted) == (1, False)


def test_a_lease_lost_while_the_pruner_decides_leaves_the_trial_to_its_new_holder(tmp_path, monkeypatch):
    store = open_store(tmp_path)

    def decides(source, trial, epoch, metrics):
        with store.engine.begin() as connection:
            connection.execute(sa.text("UPDATE attempt SET owner = 'other/x/y/1/1/z', lease_until = 1e12"))
        return True

    monkeypatch.setattr(PlannedTrials, "on_epoch", decides)

    def run(jobs, alone):
        job = begin(jobs)
        assert jobs.on_report(Report(job.attempt_id, (EpochRow(1, 0.0, {"accuracy": 1.0}),)))
        store.record(job.attempt_id, "other/x/y/1/1/z", [], outcome=OUTCOME)
        while begin(jobs) is not None:
            pass

    driver, told = drive(store, [make()], Scripted(run))
    assert told.lines == ["started 0", "restarted 0", "done 0"]
    assert (driver.done, driver.interrupted) == (0, False)


def test_checkpoints_of_a_pruned_trial_that_cannot_be_removed_are_said(tmp_path, monkeypatch, caplog):
    def refuse(checkpoints):
        raise PermissionError("read-only")

    monkeypatch.setattr(PlannedTrials, "on_epoch", lambda *_: True)
    monkeypatch.setattr(Checkpoints, "clear", refuse)

    def run(jobs, alone):
        job = begin(jobs)
        jobs.on_report(Report(job.attempt_id, (EpochRow(1, 0.0, {"accuracy": 1.0}),)))
        assert begin(jobs) is None

    _, told = drive(open_store(tmp_path), [make()], Scripted(run))
    assert told.lines == ["started 0", "pruned 0"]
    assert "read-only" in caplog.text


def test_a_worker_that_dies_in_the_second_pass_is_started_again_alone(tmp_path):
    store = open_store(tmp_path)

    def short_of_memory(jobs, alone):
        assert not alone
        job = begin(jobs)
        jobs.on_report(Report(job.attempt_id, failure=Failure("out_of_memory", "none left")))
        assert begin(jobs) is None

    def dies(jobs, alone):
        assert alone
        job = begin(jobs)
        assert begin(jobs) is None
        jobs.on_worker_lost(job.attempt_id, "SIGSEGV", True)

    def succeeds(jobs, alone):
        assert alone
        job = begin(jobs)
        assert isinstance(job, Job)
        jobs.on_report(Report(job.attempt_id, outcome=OUTCOME))
        assert begin(jobs) is None

    driver, _ = drive(store, [make()], Scripted(short_of_memory, dies, dies, succeeds))
    assert (driver.done, driver.failed, driver.interrupted) == (1, 0, False)
    driver, _ = drive(store, [make(1)], Scripted(short_of_memory, *[dies] * 4))
    assert (driver.done, driver.failed, driver.interrupted) == (0, 1, False)
    assert store.statuses([make(1).key])[make(1).key].state is State.FAILED


SPEC = """
study: s
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, aa: false, sde: false, train_per_class: 1,
           test_per_class: 1, visual_dim: 8, epochs: 1, batch_size: 32}
grid: {lr: [LRS]}
seeds: 1
"""


def test_what_failed_before_or_elsewhere_makes_the_exit_code_1(tmp_path):
    settings = settings_of(tmp_path)
    store = Store.open(settings.store)

    def planned(rates):
        (tmp_path / "spec.yaml").write_text(SPEC.replace("LRS", rates))
        study = read_study(tmp_path / "spec.yaml", settings)
        return study, plan_study(study, store)

    def run(study, plan):
        executor, display = InlineExecutor(0.01), SweepProgress(Console(quiet=True))
        return run_study(study, plan, store, settings, executor, display, mirror=False)

    assert run(*planned("0.001")) == 0
    assert run(*planned("0.001, 1.0e+30")) == 1
    study, plan = planned("0.001, 1.0e+30, 0.002")
    assert (len(plan.to_run), len(plan.failed)) == (1, 1)
    assert run(study, plan) == 1
    study, plan = planned("0.003")
    claim = store.claim(plan.to_run[0], "other", 60, {})
    store.record(claim.attempt_id, "other", [], failure=Failure("error", "no"))
    assert run(study, plan) == 1


@pytest.mark.parametrize("native", ["bf16", "fp32"])
def test_a_worker_chooses_the_precision_its_device_is_fast_in(tmp_path, monkeypatch, native):
    monkeypatch.setattr(worker, "native_precision", lambda device: native)
    products = []
    with_dtype = torch.autocast.__enter__
    monkeypatch.setattr(
        torch.autocast, "__enter__", lambda self: products.append(self._enabled) or with_dtype(self)
    )
    text = SPEC.replace("LRS", "0.001") + "precision: auto\n"
    _, code, store = sweep(tmp_path, text, settings_of(tmp_path))
    (trial,) = store.trials({})
    (attempt,) = store.attempts([trial.key])
    assert (code, attempt.worker["precision"]) == (0, native)
    assert set(products) == {native == "bf16"}


def test_what_a_method_says_of_itself_is_stored_where_it_is_a_number(tmp_path, monkeypatch):
    said = {"entropy": math.nan, "largest": -math.inf, "kept": torch.tensor(0.5)}
    monkeypatch.setattr(DVTA, "extra_metrics", lambda self: said)
    _, code, store = sweep(tmp_path, SPEC.replace("LRS", "0.001"), settings_of(tmp_path))
    (trial,) = store.trials({})
    results = store.results([trial.key])[trial.key]
    assert (code, results["kept"], results.keys() & said.keys()) == (0, 0.5, {"kept"})
