"""Sweeps whose trials train as stacked models, against the same sweeps one by one."""

import dataclasses
import sqlite3

import pytest

from dvta import stacking
from dvta.facts import stacking as stacking_facts
from dvta.methods.devise import DeViSE
from orchestrator import sweep
from orchestrator.execute import stacked
from orchestrator.execute.inline import carry_out
from orchestrator.search.study import SearchTrials
from tests.sweeps import settings_of
from tests.sweeps import sweep as sweep_spec

SPEC = """
study: s
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, method: devise, train_per_class: 2, test_per_class: 3,
           visual_dim: 8, epochs: 4, batch_size: 32, lr: 0.001}
checkpoint: {every_seconds: 0, models: all}
seeds: 3
"""


class Place:
    """A folder with a store of its own, in which specs are swept in this process."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.settings = settings_of(folder)

    def sweep(self, text, executor=None, **flags):
        return sweep_spec(self.folder, SPEC + text, self.settings, executor, **flags)[1]

    def query(self, sql):
        with sqlite3.connect(self.folder / "runs/dvta.db") as connection:
            return connection.execute(sql).fetchall()

    def attempts(self):
        return self.query(
            "SELECT t.key, t.method, a.number, a.state, a.error_kind FROM attempt a "
            "JOIN trial t ON t.id = a.trial_id ORDER BY t.key"
        )

    def epochs(self):
        return self.query(
            "SELECT t.key, m.epoch, m.metric, m.value FROM epoch_metric m JOIN attempt a ON a.id = m.attempt_id "
            "JOIN trial t ON t.id = a.trial_id ORDER BY 1, 2, 3"
        )

    def classes(self):
        return self.query(
            "SELECT t.key, c.protocol, c.class_id, c.total, c.correct FROM class_accuracy c "
            "JOIN attempt a ON a.id = c.attempt_id JOIN trial t ON t.id = a.trial_id ORDER BY 1, 2, 3"
        )

    def stacks(self):
        return sorted(n for (n,) in self.query("SELECT json_extract(worker, '$.stack') FROM attempt") if n)


@pytest.fixture
def places(tmp_path):
    return lambda name: Place(tmp_path / name)


def assert_alike(stacked, apart):
    assert stacked.attempts() == apart.attempts()
    assert [row[:3] for row in stacked.epochs()] == [row[:3] for row in apart.epochs()]
    measured = [row[3] for row in apart.epochs()]
    assert [row[3] for row in stacked.epochs()] == pytest.approx(measured, rel=1e-4, abs=1e-4)
    assert stacked.classes() == apart.classes()


def test_a_stacked_sweep_has_the_trials_epochs_and_results_of_one_without(places):
    text = "grid: {method: [devise, smie], lr: [0.001, 0.0005]}\nresources: {stack: STACK}\n"
    stacked, apart = places("stacked"), places("apart")
    assert stacked.sweep(text.replace("STACK", "4")) == 0
    assert apart.sweep(text.replace("STACK", "off")) == 0
    assert len(stacked.attempts()) == 12
    assert_alike(stacked, apart)
    assert stacked.stacks() == [2] * 4 + [4] * 8
    assert apart.stacks() == []
    weights = [sorted(p.name for p in (x.folder / "runs/models").rglob("*.pt")) for x in (stacked, apart)]
    assert weights[0] == weights[1]
    assert len(weights[0]) == 12
    assert not list((stacked.folder / "runs/checkpoints").rglob("*.pt"))


def test_auto_stacks_what_pays_here_and_the_rest_not(places, monkeypatch):
    monkeypatch.setattr(stacking_facts, "measured", lambda: {"cpu": {"devise": 1.21, "smie": 0.8}})
    place = places("auto")
    assert place.sweep("grid: {method: [devise, smie]}\n") == 0
    assert place.stacks() == [3] * 3


def test_a_trial_whose_loss_is_not_finite_fails_alone(places):
    text = "grid: {method: [smie], lr: [0.001, 1.0e+30]}\nresources: {stack: STACK}\n"
    stacked, apart = places("stacked"), places("apart")
    assert stacked.sweep(text.replace("STACK", "6")) == apart.sweep(text.replace("STACK", "off")) == 1
    states = [(state, kind) for *_, state, kind in stacked.attempts()]
    assert sorted(states, key=str) == [("done", None)] * 3 + [("failed", "non_finite")] * 3
    assert_alike(stacked, apart)
    logs = [p.read_text() for p in (stacked.folder / "runs/logs").rglob("*.log")]
    assert len(logs) == 3
    assert all("NonFiniteLossError" in text for text in logs)


REAL_OPTIONS = sweep._options


def every_epoch(*arguments):
    """Return the options of a sweep that reports every epoch."""
    return dataclasses.replace(REAL_OPTIONS(*arguments), report_seconds=0.0)


class Interrupted:
    """Works inline and asks for a stop after some reports."""

    def __init__(self, reports, save=True):
        self.left, self.save = reports, save

    def run(self, jobs, *, alone=False):
        trials = jobs.next_trials()
        claimed = [job for trial in trials if (job := jobs.claim(trial)) is not None]
        work = stacked.begin(claimed, jobs.features)
        for _ in range(self.left):
            for report in work.step():
                jobs.on_report(report)
        if self.save:
            work.save()
        jobs.stop()


@pytest.mark.parametrize("then", ["3", "off", "2"])
def test_a_stack_goes_on_from_its_checkpoints_stacked_or_apart(places, monkeypatch, then):
    text = "grid: {lr: [0.001]}\nresources: {stack: STACK}\n"
    monkeypatch.setattr("orchestrator.sweep._options", every_epoch)
    place, whole = places("place"), places("whole")
    place.sweep(text.replace("STACK", "3"), Interrupted(2))
    assert {state for *_, state, _ in place.attempts()} == {"interrupted"}
    assert len(list((place.folder / "runs/checkpoints").rglob("epoch-000002.pt"))) == 3
    assert place.sweep(text.replace("STACK", then)) == 0
    assert whole.sweep(text.replace("STACK", "off")) == 0
    assert_alike(place, whole)


def test_members_at_different_epochs_catch_up_with_each_other(places, monkeypatch):
    monkeypatch.setattr("orchestrator.sweep._options", every_epoch)
    place, whole = places("place"), places("whole")
    all_three = "grid: {lr: [0.001]}\nresources: {stack: 3}\n"
    place.sweep(all_three.replace("3}", "off}"), Interrupted(2))
    assert place.query("SELECT count(*), max(epoch) FROM epoch_metric WHERE metric = 'loss'") == [(2, 2)]
    assert place.sweep(all_three) == 0
    assert place.stacks() == [3] * 3
    assert whole.sweep(all_three.replace("3}", "off}")) == 0
    assert_alike(place, whole)


def test_a_trial_that_the_pruner_stops_leaves_the_others(places, monkeypatch):
    stopped = []

    def second_at_epoch_2(self, trial, epoch, metrics):
        if epoch == 2 and trial.evaluate_on == "validation" and not stopped:
            stopped.append(trial.key)
        return trial.key in stopped

    monkeypatch.setattr(SearchTrials, "on_epoch", second_at_epoch_2)
    place = places("place")
    search = "search: {trials: 4, sampler: random, pruner: median, space: {lr: {type: float, low: 0.0001, high: 0.01}}}\n"
    assert place.sweep("grid: {margin: [0.1]}\nresources: {stack: 4}\n" + search) == 0
    states = [state for *_, state, _ in place.attempts()]
    assert sorted(states) == ["done"] * 6 + ["pruned"]
    assert place.stacks() == [3] * 3 + [4] * 4
    counts = place.query("SELECT count(*) FROM epoch_metric WHERE metric = 'loss' GROUP BY attempt_id")
    assert sorted(n for (n,) in counts) == [2] + [4] * 6
    assert list(place.folder.glob("**/epoch-*.pt")) == []


def test_a_learning_sampler_is_not_asked_ahead(places):
    place = places("place")
    search = "search: {trials: 3, sampler: tpe, space: {lr: {type: float, low: 0.0001, high: 0.01}}}\n"
    assert place.sweep("grid: {margin: [0.1]}\nresources: {stack: 4}\n" + search) == 0
    assert place.stacks() == [3] * 3  # the tuned trials


def test_a_trial_whose_lease_is_lost_leaves_the_others(places, monkeypatch):
    monkeypatch.setattr("orchestrator.sweep._options", every_epoch)
    place = places("place")

    class Robbed:
        def run(self, jobs, *, alone=False):
            trials = jobs.next_trials()
            claimed = [jobs.claim(trial) for trial in trials]
            work = stacked.begin(claimed, jobs.features)
            for report in work.step():
                jobs.on_report(report)
            with sqlite3.connect(place.folder / "runs/dvta.db") as connection:
                connection.execute(
                    "UPDATE attempt SET owner = 'other/x/y/1/1/z', lease_until = 1e12 WHERE id = ?",
                    (claimed[1].attempt_id,),
                )
            carry_out(work, jobs)
            jobs.stop()

    place.sweep("grid: {lr: [0.001]}\nresources: {stack: 3}\n", Robbed())
    assert sorted(state for *_, state, _ in place.attempts()) == ["done", "done", "running"]


def test_what_breaks_in_one_of_a_stack_fails_that_one_alone(places, monkeypatch):
    real = DeViSE.training_loss

    def broken(self, visual, labels, text):
        if self.options.margin != 0.1:
            raise KeyError("a mistake in a user's method")
        return real(self, visual, labels, text)

    monkeypatch.setattr(DeViSE, "training_loss", broken)
    place = places("place")
    assert place.sweep("grid: {margin: [0.1, 0.2]}\nresources: {stack: 6}\n") == 1
    assert sorted(str(kind) for *_, kind in place.attempts()) == ["None"] * 3 + ["error"] * 3
    assert place.stacks() == [6] * 6


def test_a_stack_that_runs_out_of_memory_is_tried_again_one_by_one(places, monkeypatch):
    real = stacking.Stack.__next__

    def hungry(self):
        if len(self.fits) > 1 and self.fits[0].epoch == 2:
            raise MemoryError("none left")
        return real(self)

    monkeypatch.setattr(stacking.Stack, "__next__", hungry)
    place, whole = places("place"), places("whole")
    text = "grid: {lr: [0.001]}\nresources: {stack: STACK}\n"
    assert place.sweep(text.replace("STACK", "3")) == 0
    assert place.query("SELECT restarts, state FROM attempt") == [(1, "done")] * 3
    assert whole.sweep(text.replace("STACK", "off")) == 0
    assert_alike(place, whole)
