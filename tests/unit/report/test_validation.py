"""The epoch that validation classes choose, and all protocols of the same trials side by side."""

import dataclasses
import json

import numpy as np
import pytest

from dvta.generalised import Curve, harmonic_mean
from orchestrator.errors import SettingsError
from orchestrator.records import VALIDATION, EpochRow, Outcome, Slot
from orchestrator.report.render import render
from orchestrator.report.table import build_table
from orchestrator.report.validation import values_under
from orchestrator.store import Store
from orchestrator.trial import Trial
from tests.cell_values import generalised, value
from tests.commands import run


def trial(seed, evaluate_on="unseen", **more):
    about = {"source": "real", "data_digest": "d", "depends_on": None, **more}
    return Trial(
        "dvta", 1, "cmu", "split_1", "st_gcn", "sbert", seed, options={"gamma": 0.01}, training={"epochs": 4},
        evaluate_on=evaluate_on, **about,
    )  # fmt: skip


def finish(store, wanted, curve):
    claim = store.claim(wanted, "me", 60, {})
    epochs = [EpochRow(e, float(e), {"accuracy": a, "loss": 1.0}) for e, a in enumerate(curve, 1)]
    results = {"final_accuracy": curve[-1], "best_accuracy": max(curve), "best_epoch": 1.0}
    store.record(claim.attempt_id, "me", epochs, outcome=Outcome(results, {}, 1.0))


@pytest.fixture
def store(tmp_path):
    """Two seeds; validation classes choose epoch 2 of the first and, the first of two best, 3 of the second."""
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    own = [trial(seed, depends_on="e1", data_digest="a") for seed in range(2)]
    twins = [trial(seed, "validation", depends_on="e2", data_digest="b") for seed in range(2)]
    slots = [Slot("grid", "dvta", "split_1", t) for t in own]
    store.save_study("s", "study: s\n", [*slots, *(Slot(VALIDATION, "dvta", "split_1", t) for t in twins)])
    finish(store, own[0], (0.1, 0.4, 0.7, 0.6))
    finish(store, own[1], (0.2, 0.3, 0.5, 0.1))
    finish(store, twins[0], (0.5, 0.9, 0.8, 0.7))
    finish(store, twins[1], (0.5, 0.6, 0.8, 0.8))
    return store


def test_the_epoch_is_that_of_validation_classes_and_the_accuracy_that_of_the_whole_training(store):
    values = values_under(store, store.find_study(), "grid", VALIDATION)
    assert [v.validated for v in values] == [0.4, 0.5]
    table = build_table(values, protocol=VALIDATION, study="s")
    number = table.numbers["dvta", "split_1"]
    assert (number.mean, number.n) == (pytest.approx(45.0), 2)
    assert number.measured_on == "unseen test classes"
    assert table.caption[0].startswith("protocol validation: the epoch that was best on validation classes")


def test_all_protocols_stand_side_by_side(store):
    values = values_under(store, store.find_study(), "grid", "all")
    table = build_table(values, protocol="all", study="s")
    assert table.columns == ("split_1 final", "split_1 validation", "split_1 best", "split_1 best - final")
    means = [table.numbers["dvta", c].mean for c in table.columns]
    assert means == pytest.approx([35.0, 45.0, 60.0, 25.0])
    assert sum(line.startswith("protocol ") for line in table.caption) == 3
    assert "45.00 ± 7.07 (n=2)" in render(table, "md")


def test_without_a_second_training_the_protocol_is_refused_and_left_out_of_all(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    store.save_study("s", "study: s\n", [Slot("grid", "dvta", "split_1", trial(0))])
    finish(store, trial(0), (0.1, 0.2, 0.3, 0.4))
    with pytest.raises(SettingsError, match="sweep it with validation: true in its spec"):
        values_under(store, store.find_study(), "grid", VALIDATION)
    table = build_table(values_under(store, store.find_study(), "grid", "all"), protocol="all", study="s")
    assert table.columns == ("split_1 final", "split_1 best", "split_1 best - final")


def test_a_twin_of_another_configuration_or_seed_chooses_nothing(store):
    other = [
        dataclasses.replace(trial(5), options={"gamma": 0.2}),
        dataclasses.replace(trial(0), source="simulated"),
    ]
    store.add_slots(store.find_study()[0], [Slot("grid", "other", "split_1", t) for t in other])
    for t in other:
        finish(store, t, (0.1, 0.2, 0.3, 0.4))
    values = values_under(store, store.find_study(), "grid", "all")
    assert [v.validated for v in values if v.row == "other"] == [None, None]


def test_of_twins_that_only_their_encoders_tell_apart_that_of_the_same_row_chooses(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    slots, curves = [], {}
    for row, best in (("epochs=6", 1), ("epochs=12", 3)):
        own = trial(0, depends_on=f"seen {row}", data_digest=f"a {row}")
        twin = trial(0, "validation", depends_on=f"without {row}", data_digest=f"b {row}")
        slots += [Slot("grid", row, "accuracy", own), Slot(VALIDATION, row, "accuracy", twin)]
        curves[own] = (0.1, 0.2, 0.3, 0.4)
        curves[twin] = tuple(0.9 if epoch == best else 0.5 for epoch in range(1, 5))
    store.save_study("s", "study: s\n", slots)
    *most, last = curves.items()
    for wanted, curve in most:
        finish(store, wanted, curve)
    values = values_under(store, store.find_study(), "grid", VALIDATION)
    assert [v.validated for v in values] == [0.1, None]
    finish(store, *last)
    values = values_under(store, store.find_study(), "grid", VALIDATION)
    assert [(v.row, v.validated) for v in values] == [("epochs=6", 0.1), ("epochs=12", 0.3)]


def test_generalised_trials_show_every_way_to_count_them():
    results = {
        "gzsl_seen": 0.9, "gzsl_unseen": 0.1, "gzsl_harmonic": 0.18, "gzsl_gate_spread": 0.02,
        "gzsl_stacking_harmonic": 0.3, "gzsl_ausuc": 0.25, "gzsl_test_tuned_harmonic": 0.4,
    }  # fmt: skip
    values = [
        value("dvta", c, s, 0.7, results=results, evaluate_on="gzsl")
        for c in ("seen", "unseen", "harmonic mean")
        for s in range(2)
    ]
    table = build_table(values, protocol="all", study="s")
    assert table.columns == (
        "seen", "unseen", "harmonic mean", "gate H spread", "stacking H", "AUSUC", "H tuned on test",
    )  # fmt: skip
    means = [table.numbers["dvta", c].mean for c in table.columns]
    assert means == pytest.approx([90, 10, 18, 2, 30, 25, 40])
    assert any(line.startswith("H tuned on test: ") and "an upper bound" in line for line in table.caption)
    # what trials of an earlier version did not measure has no column
    old = build_table([generalised("dvta", "harmonic mean", 0, 0.18)], protocol="all", study="s")
    assert old.columns == ("harmonic mean",)
    # what a column shows already is not shown twice
    assert build_table(values, protocol="both", study="s").columns == ("seen", "unseen", "harmonic mean")


def test_the_largest_harmonic_mean_is_that_of_all_factors_tried_one_by_one():
    rng = np.random.default_rng(0)
    scores, label = rng.normal(size=(60, 5)), rng.integers(5, size=60)
    curve = Curve.of(scores, label, np.arange(5), np.array([3, 4]))
    found = []
    for factor in np.linspace(-8, 8, 4001):
        predicted = (scores - factor * np.array([1, 1, 1, 0, 0])).argmax(1)
        right, unseen = predicted == label, label >= 3
        found.append(harmonic_mean(right[~unseen].mean(), right[unseen].mean()))
    assert curve.largest_harmonic() == pytest.approx(max(found))
    assert curve.largest_harmonic() >= harmonic_mean(*curve.at(0.0))


SPEC = """
study: small
grid: {method: [dvta, smie]}
defaults: {dataset: ntu60, split: 55/5, epochs: 3, train_per_class: 3, test_per_class: 3}
seeds: 2
"""


def test_a_spec_trains_once_more_without_validation_classes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("DVTA_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVTA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DVTA_DATA", str(tmp_path / "data"))
    (tmp_path / "a.yaml").write_text(SPEC)
    (tmp_path / "b.yaml").write_text(SPEC + "validation: true\n")
    assert run("sweep", "a.yaml", "--executor", "inline") == 0
    capsys.readouterr()
    # the trials of the spec without it keep their keys
    assert run("plan", "b.yaml") == 0
    assert "2 cells, 8 distinct trials (2 seeds): 4 to run, 4 done" in capsys.readouterr().out
    assert run("sweep", "b.yaml", "--executor", "inline") == 0
    capsys.readouterr()
    assert run("report", "--protocol", "all", "--format", "json") == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert list(dict.fromkeys(c["column"] for c in cells)) == [
        f"accuracy {p}" for p in ("final", "validation", "best", "best - final")
    ]
    assert all(c["n"] == 2 for c in cells)
    assert len(cells) == 8
    assert run("judge", "--protocol", "validation") == 0
    assert "protocol validation" in capsys.readouterr().out
    assert run("report", "--rows", "method", "--protocol", "validation") == 0
    assert "dvta" in capsys.readouterr().out
