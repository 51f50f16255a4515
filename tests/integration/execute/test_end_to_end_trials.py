"""Encoder and alignment trained together as trials of a sweep: identity, tables, resuming, and what uses them."""

import json

import numpy as np
import pytest
import torch

from dvta import export
from dvta.errors import DataChangedError, DataError
from orchestrator.cli.progress import SweepProgress
from orchestrator.errors import SpecError
from orchestrator.execute.inline import InlineExecutor
from orchestrator.execute.trained import load_trained
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.sweep import run_study
from orchestrator.tables import layout
from tests.commands import run
from tests.sweeps import read, sweep

SPEC = """
study: joint
source: real
defaults:
  dataset: cmu
  split: split_1
  visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 64}, end_to_end: {JOINT}}
  epochs: 2
  batch_size: 64
  lr: 0.001
"""
BOTH = SPEC.replace("JOINT", "encoder_lr: 1e-2") + "grid: {train: [pre_extracted, end_to_end]}\n"


def test_both_ways_are_trials_of_one_study(place, capsys):
    plan, code, store = sweep(place, BOTH)
    assert (code, plan.encoders, plan.distinct) == (0, 1, 3)
    joint = next(t for t in plan.to_run if t.is_end_to_end)
    # from scratch: nothing of what the other way trains is read
    assert joint.depends_on is None
    assert joint.training["encoder_lr"] == 0.01
    assert joint.training["encoder_partition"] == "official"
    rows = [c.row for c in store.cells(store.find_study("joint")[0], "grid")]
    assert rows == ["train=pre_extracted", "train=end_to_end"]
    results = store.results([joint.key])[joint.key]
    assert {"final_accuracy", "best_accuracy", "temperature", "ece", "open_set_auroc"} <= results.keys()
    assert not sweep(place, BOTH)[0].to_run
    # what only one of them has is part of that one's identity alone
    other, _, _ = sweep(place, BOTH.replace("encoder_lr: 1e-2", "encoder_lr: 1e-2, crop: 0.2"))
    assert [t.is_end_to_end for t in other.to_run] == [True]
    capsys.readouterr()
    assert run("trials", "train=end_to_end") == 0
    out = capsys.readouterr().out
    assert out.endswith("\n2 of 2\n")
    assert run("report") == 0
    assert "train=end_to_end" in capsys.readouterr().out


def test_the_table_has_both_ways(place, capsys):
    text = SPEC.replace("JOINT", "") + (
        "tables: [end_to_end]\nwhere: {method: [devise], dataset: [cmu], split: [split_1]}\n"
    )
    plan, code, _ = sweep(place, text)
    assert (code, plan.cells, plan.distinct) == (0, 2, 3)
    capsys.readouterr()
    assert run("report", "--table", "end_to_end", "--format", "csv") == 0
    out = capsys.readouterr().out
    assert "DeViSE, features made beforehand" in out
    assert "DeViSE, end to end" in out
    assert "DVTA" not in out
    cells = layout("end_to_end").cells()
    assert len(cells) == 9 * 2 * 7
    assert {c.configs[0]["train"] for c in cells} == {"pre_extracted", "end_to_end"}


def test_from_a_trained_encoder_it_waits_for_it_and_starts_there(place):
    text = BOTH.replace("encoder_lr: 1e-2", "init: trained, frozen_epochs: 1") + "checkpoint: {models: all}\n"
    plan, code, store = sweep(place, text)
    assert (code, plan.encoders, plan.distinct) == (0, 1, 3)
    joint = next(t for t in plan.to_run if t.is_end_to_end)
    encoder = plan.to_run[0]
    assert joint.depends_on == encoder.key
    # its first, frozen epoch is measured on the encoder's own features
    both = {t.is_end_to_end: t for t in plan.to_run[1:]}
    measured = {k: store.epochs(store.attempts([t.key])[-1].attempt_id)[0].metrics for k, t in both.items()}
    assert measured[True]["accuracy"] == measured[False]["accuracy"]
    (place / f"runs/models/{encoder.key}.pt").unlink()
    _, code, store = sweep(place, text.replace("epochs: 2", "epochs: 3").replace("grid: {train: [pre_extracted, end_to_end]}", "grid: {train: [end_to_end]}"))  # fmt: skip
    assert code == 0  # the encoder's weights were made again
    assert (place / f"runs/models/{encoder.key}.pt").exists()


def test_validation_classes_are_held_out_of_skeletons(place):
    text = (
        SPEC.replace("JOINT", "") + "grid: {train: [end_to_end], evaluate_on: [unseen]}\nvalidation: true\n"
    )
    text = text.replace(", evaluate_on: [unseen]", "")
    plan, code, store = sweep(place, text)
    assert (code, plan.distinct, plan.encoders) == (0, 2, 0)
    assert sorted(t.evaluate_on for t in plan.to_run) == ["unseen", "validation"]
    tuned = next(t for t in plan.to_run if t.evaluate_on == "validation")
    trained = load_trained(store, Settings.load(), tuned)
    assert set(trained.features.z_label.tolist()) == set(trained.features.unseen)
    assert not set(trained.features.unseen) & set(trained.features.seen)


def test_its_own_encoder_is_what_predict_and_export_use(place, capsys):
    text = SPEC.replace("JOINT", "") + "grid: {train: [end_to_end]}\ncheckpoint: {models: MODELS}\n"
    (trial,) = sweep(place, text.replace("MODELS", "all"))[0].to_run
    store, settings = Store.open(Settings.load().store), Settings.load()
    kept = load_trained(store, settings, trial)
    assert kept.weights == "weights kept by the sweep"
    np.save(place / "clip.npy", np.load(place / "data/cmu/skeletons/clips/all_position.npy")[:3])
    capsys.readouterr()
    assert run("predict", "clip.npy", "mop the floor", "laugh", "--trial", trial.key[:12], "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert first["samples"] == 9
    for form in export.FORMS:
        path = place / f"whole.{form}"
        assert run("export", trial.key[:12], "--format", form, "--output", str(path)) == 0
        assert "skeletons, recipe windows" in capsys.readouterr().out
        scores, _ = export.load(path.read_bytes(), form)
        visual = torch.from_numpy(kept.skeletons.ztest.batch(np.arange(5)))
        text_of = kept.features.class_text.select(kept.features.unseen)
        with torch.no_grad():
            own = kept.method.eval().class_scores(kept.features.ztest[:5], text_of)
        torch.testing.assert_close(scores([visual]), own, atol=1e-4, rtol=0)
    # without its weights it is trained again, to the same accuracy
    (place / f"runs/models/{trial.key}.pt").unlink()
    again = load_trained(store, settings, trial)
    assert again.weights.startswith("weights trained again, with the stored accuracy of ")
    assert torch.equal(again.features.ztest, kept.features.ztest)
    (place / "data/cmu/skeletons/clips/all_name.txt").write_text(
        "\n".join(f"x{i}:0" for i in range(len(np.load(place / "data/cmu/skeletons/clips/all_position.npy"))))
    )
    with pytest.raises(DataError, match="its data have changed since it ran"):
        load_trained(store, settings, trial)


def test_skeletons_that_change_after_the_plan_are_no_result(place):
    study, settings = (
        read(place, SPEC.replace("JOINT", "") + "grid: {train: [end_to_end]}\n"),
        Settings.load(),
    )
    store = Store.open(settings.store)
    plan = plan_study(study, store)
    path = place / "data/cmu/skeletons/clips/all_position.npy"
    positions = np.load(path)
    np.save(path, positions[::-1].copy())
    code = run_study(study, plan, store, settings, InlineExecutor(0.01), SweepProgress(), mirror=False)
    assert code == 1
    (attempt,) = store.attempts([plan.to_run[0].key])
    assert DataChangedError.__name__ in attempt.error


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (("train: [pre_extracted, end_to_end]", "train: [end_to_ent]"), ["did you mean 'end_to_end'"]),
        (("encoder_lr: 1e-2", "encodr_lr: 1"), ["visual.end_to_end: 'encodr_lr'", "did you mean 'encoder_lr'"]),
        (("encoder_lr: 1e-2", "frozen_epochs: 2, init: trained"), ["frozen_epochs: 2 of 2 epochs leave none"]),
        (("{encoder: st_gcn", "{encoder: kinematic"), ["kinematic is not trained"]),
        (("grid: {", "protocol: gzsl\ngrid: {"), ["the gate of protocol gzsl is fitted to features made beforehand"]),
        (("grid: {", "grid: {method: [smie], temporal: [true], "), ["reads features of masked sequences"]),
        (("  lr: 0.001", "  lr: 0"), ["lr: 0 trains nothing"]),
    ],
)  # fmt: skip
def test_what_is_impossible_is_refused_before_anything_is_written(place, change, messages):
    assert change[0] in BOTH
    with pytest.raises(SpecError) as caught:
        read(place, BOTH.replace(*change))
    assert all(message in str(caught.value) for message in messages)
    assert not (place / "runs").exists()


def test_features_by_name_have_no_encoder_to_train(place):
    text = "study: s\ndefaults: {dataset: cmu, split: split_1, epochs: 2}\ngrid: {train: [end_to_end]}\n"
    with pytest.raises(SpecError, match="train: end_to_end trains the encoder, and visual shift_gcn is not trained"):  # fmt: skip
        read(place, text)


def test_two_processes_train_one_trial_by_a_spec(place):
    text = (
        SPEC.replace("JOINT", "")
        + "grid: {train: [end_to_end]}\nresources: {workers: 2, cpus_per_trial: 2}\n"
    )
    plan, code, store = sweep(place, text)
    assert (code, plan.distinct) == (0, 1)
    (attempt,) = store.attempts([plan.to_run[0].key])
    assert attempt.worker["workers"] == 2
    assert attempt.worker["threads"] == 1
    # how it is trained is no part of what it is
    assert not sweep(place, text.replace("resources: {workers: 2, cpus_per_trial: 2}", ""))[0].to_run
    with pytest.raises(SpecError, match="with workers: 2, gpus_per_trial should be 0 or 2"):
        read(place, text.replace("cpus_per_trial: 2", "gpus_per_trial: 0.5"))
    with pytest.raises(SpecError, match="greater than or equal to 1"):
        read(place, text.replace("workers: 2", "workers: 0"))
