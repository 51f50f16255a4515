"""Encoders as trials of a sweep: trained once, shared, kept, and asked again by ``predict``."""

import json

import numpy as np
import pytest

from dvta.errors import DataError
from orchestrator.cli.progress import SweepProgress
from orchestrator.errors import SpecError
from orchestrator.execute.inline import InlineExecutor
from orchestrator.execute.trained import TrainedTrial
from orchestrator.settings import Settings
from orchestrator.spec.encoder import EncoderSpec
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import run_study
from tests.commands import run
from tests.sweeps import sweep

SPEC = """
study: graph
source: real
defaults:
  dataset: cmu
  split: split_1
  visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 32, lr: 1e-3}}
  epochs: 2
  batch_size: 64
  lr: 0.001
grid: {gamma: [GAMMAS]}
seeds: 2
"""


def test_an_encoder_is_trained_once_and_shared(place):
    plan, code, store = sweep(place, SPEC.replace("GAMMAS", "0.01"))
    assert code == 0
    assert (plan.encoders, plan.distinct, plan.cells) == (1, 3, 1)
    assert plan.to_run[0].kind == "encoder"
    assert {t.depends_on for t in plan.to_run[1:]} == {plan.to_run[0].key}
    plan, code, store = sweep(place, SPEC.replace("GAMMAS", "0.01, 0.5"))
    assert (code, plan.encoders, len(plan.to_run), len(plan.done)) == (0, 0, 2, 3)
    encoders = [v for v in store.trials() if v.config["kind"] == "encoder"]
    assert len(encoders) == 1
    assert 0 <= encoders[0].best <= 1
    cells = store.cells(store.find_study("graph")[0], "encoders")
    assert [(c.row, c.column) for c in cells] == [("st_gcn cmu split_1", "seen-class accuracy")]


def test_variants_of_an_encoder_are_rows_of_their_own(place):
    variants = (
        "{encoder: st_gcn, train: {epochs: 1, batch_size: 32}}",
        "{encoder: st_gcn, train: {epochs: 1, batch_size: 32}, options: {partition: true_distance}}",
        # the published batch size again: the same encoder as without it
        "{encoder: st_gcn, train: {epochs: 1}}",
        "{encoder: st_gcn, train: {epochs: 1, batch_size: 128}, options: {partition: official}}",
    )
    text = SPEC.replace("gamma: [GAMMAS]", f"visual: [{', '.join(variants)}]").replace("seeds: 2", "seeds: 1")
    plan, code, store = sweep(place, text)
    assert (code, plan.encoders, plan.distinct) == (0, 3, 6)
    cells = store.cells(store.find_study("graph")[0], "grid")
    assert list(dict.fromkeys(c.row for c in cells)) == [
        "visual=st_gcn(batch_size=32 partition=official)",
        "visual=st_gcn(batch_size=32 partition=true_distance)",
        "visual=st_gcn(batch_size=128 partition=official)",
    ]
    rows = [c.row for c in store.cells(store.find_study("graph")[0], "encoders")]
    assert "st_gcn(batch_size=32 partition=true_distance) cmu split_1" in rows
    assert len(set(rows)) == 3
    encoders = [v.config for v in store.trials() if v.config["kind"] == "encoder"]
    assert sorted(c["partition"] for c in encoders) == ["official", "official", "true_distance"]


def test_an_included_point_never_joins_a_cell_of_the_grid(place):
    run("encode", "skeleton", "--dataset", "cmu", "--split", "split_1", "--epochs", "1")
    own = "{visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 32, lr: 1e-3}}, gamma: 0.01}"
    text = SPEC.replace(
        "visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 32, lr: 1e-3}}", "visual: st_gcn"
    )
    plan, code, store = sweep(place, text.replace("GAMMAS", "0.01") + f"include: [{own}]\n")
    assert (code, plan.cells, plan.distinct) == (0, 2, 5)
    rows = [c.row for c in store.cells(store.find_study("graph")[0], "grid")]
    assert list(dict.fromkeys(rows)) == ["gamma=0.01", "gamma=0.01,visual=st_gcn(trained)"]


def test_listed_names_are_accepted_back(place, capsys):
    sweep(place, SPEC.replace("gamma: [GAMMAS]", "lr: [1e-5, 1e-3]"))
    capsys.readouterr()
    run("trials", "--json")
    listed = [(each["key"], each["trial"]) for each in json.loads(capsys.readouterr().out)["trials"]]
    assert len(listed) == 5
    for key, name in listed:
        assert run("show", name) == 0
        assert key in capsys.readouterr().out
    run("trials", "lr=1e-05", "state=done", "kind=alignment")
    assert capsys.readouterr().out.endswith("\n2 of 2\n")
    assert run("trials", "datset=cmu") == 2
    assert "datset: no trial has it (did you mean 'dataset'?)" in capsys.readouterr().err
    assert run("trials", "state=don") == 2
    assert "did you mean 'done'" in capsys.readouterr().err
    run("trials", "dataset=ntu60")
    assert "cmu" not in capsys.readouterr().out
    assert run("predict", "absent.npy", "walk", "--trial", listed[0][0]) == 2
    assert "absent.npy: no such file" in capsys.readouterr().err


def test_lost_features_are_made_again(place):
    plan, _, _ = sweep(place, SPEC.replace("GAMMAS", "0.01"))
    (marker,) = place.glob("runs/features/*/*/made.json")
    marker.unlink()
    plan, code, _ = sweep(place, SPEC.replace("GAMMAS", "0.01, 0.5"))
    assert code == 0
    assert [t.kind for t in plan.to_run] == ["encoder", "alignment", "alignment"]
    assert marker.exists()


def test_an_encoder_that_failed_before_is_a_failure_again(place):
    text = SPEC.replace("lr: 1e-3}", "lr: 1e31}")
    plan, code, _ = sweep(place, text.replace("GAMMAS", "0.01"))
    assert (code, len(plan.to_run)) == (1, 3)
    plan, code, _ = sweep(place, text.replace("GAMMAS", "0.01"))
    assert (code, len(plan.to_run), len(plan.failed)) == (1, 2, 1)


def test_every_method_runs_on_trained_features_and_kinematic_needs_no_training(place):
    text = SPEC.replace("gamma: [GAMMAS]", "method: [purls, smie, dvta]").replace("seeds: 2", "seeds: 1")
    plan, code, store = sweep(place, text + "include:\n  - {visual: {encoder: kinematic}, method: dvta}\n")
    assert code == 0
    assert plan.encoders == 2
    assert not list(place.glob("runs/features/*/*/train_masked.npy"))
    temporal = text.replace("epochs: 2", "temporal: true\n  epochs: 2").replace("purls, smie, dvta", "smie")
    files = (*place.glob("runs/models/*.pt"), *place.glob("runs/features/*/*/train.npy"))
    before = {p: p.stat().st_mtime_ns for p in files}
    measured = {v.key: v.best for v in store.trials()}
    plan, code, store = sweep(place, temporal)
    # the encoder makes the masked features, and is not trained again for it
    assert (code, [t.kind for t in plan.to_run]) == (0, ["encoder", "alignment"])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    first, again = store.attempts([plan.to_run[0].key])
    assert not store.epochs(again.attempt_id)
    assert store.epochs(first.attempt_id)
    value = next(v for v in store.trials() if v.key == plan.to_run[0].key)
    assert value.attempt_id == again.attempt_id
    assert value.best == measured[value.key] is not None
    assert not sweep(place, temporal)[0].to_run
    settings = Settings.load()
    study = read_study(place / "spec.yaml", settings)
    assert (
        run_study(
            study,
            plan_study(study, store, redo=True),
            store,
            settings,
            InlineExecutor(0.01),
            SweepProgress(),
            mirror=False,
        )
        == 0
    )
    assert store.epochs(store.attempts([plan.to_run[0].key])[-1].attempt_id)


def test_kinematic_makes_pooled_features_only(place):
    text = SPEC.replace(
        "visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 32, lr: 1e-3}}",
        "visual: {encoder: kinematic}",
    )
    with pytest.raises(DataError, match="purls needs unpooled features, which kinematic does not make"):
        sweep(place, text.replace("gamma: [GAMMAS]", "method: [purls]"))


def test_a_skeleton_is_refused_with_what_its_trial_lacks(place, capsys):
    text = SPEC.replace("GAMMAS", "0.01").replace("seeds: 2", "seeds: 1")
    np.save(place / "clip.npy", np.zeros((1, 3, 50, 25, 2), np.float32))
    for visual, why in (
        ("kinematic", "kinematic is none: its features are made of"),
        ("st_gcn", "there is no file"),
    ):
        train = "" if visual == "kinematic" else ", train: {epochs: 1, batch_size: 32}"
        spec = text.replace(
            "{encoder: st_gcn, train: {epochs: 1, batch_size: 32, lr: 1e-3}}", f"{{encoder: {visual}{train}}}"
        )
        _, _, store = sweep(place, f"{spec}checkpoint: {{models: all}}\n")
        encoder, trial = (
            next(v.key for v in store.trials({"kind": kind, "visual": visual}))
            for kind in ("encoder", "alignment")
        )
        (place / f"runs/models/{encoder}.pt").unlink(missing_ok=True)
        capsys.readouterr()
        assert run("predict", "clip.npy", "walk", "run", "--trial", trial) == 2
        said = capsys.readouterr().err
        assert "clip.npy: a skeleton needs the network that made the trial's features, and " + why in said


def test_a_search_uses_encoders_that_have_not_seen_the_validation_classes(place):
    text = SPEC.replace("grid: {gamma: [GAMMAS]}", "grid: {sde: [true]}") + (
        "search: {trials: 2, sampler: random, space: {tau: {type: float, low: 0.05, high: 1.0}}}\n"
    )
    _, code, store = sweep(place, text)
    assert code == 0
    encoders = [v for v in store.trials() if v.config["kind"] == "encoder"]
    assert sorted(v.config["evaluate_on"] for v in encoders) == ["unseen", "validation"]
    rows = {c.row for c in store.cells(store.find_study("graph")[0], "encoders")}
    assert rows == {f"st_gcn(evaluate_on={on}) cmu split_1" for on in ("unseen", "validation")}
    by_key = {v.key: v.config["evaluate_on"] for v in encoders}
    aligned = [v for v in store.trials() if v.config["kind"] == "alignment"]
    assert len(aligned) == 4
    assert all(by_key[v.config["depends_on"]] == v.config["evaluate_on"] for v in aligned)


def test_a_search_waits_for_its_encoders_and_is_not_begun_when_one_fails(place):
    text = SPEC.replace("grid: {gamma: [GAMMAS]}", "grid: {sde: [true]}").replace("lr: 1e-3", "lr: 1e31") + (
        "search: {trials: 2, sampler: random, space: {tau: {type: float, low: 0.05, high: 1.0}}}\n"
    )
    for flags, attempts in (({}, 1), ({}, 1), ({"retry": True}, 2)):
        _, code, store = sweep(place, text, **flags)
        assert code == 1
        encoders = [t for t in store.trials() if t.config["kind"] == "encoder"]
        assert sorted(t.config["evaluate_on"] for t in encoders) == ["unseen", "validation"]
        statuses = store.statuses([t.key for t in encoders])
        assert [(s.state.value, s.attempts) for s in statuses.values()] == [("failed", attempts)] * 2
        assert not [t for t in store.trials() if t.config["kind"] == "alignment"]


def test_steps_are_read_as_people_write_them():
    for given, steps in ((60, "60"), ([60, 80], "60,80"), ("60,80", "60,80")):
        visual = EncoderSpec.parse({"encoder": "shift_gcn", "train": {"steps": given, "lr": "1e-2"}})
        assert (visual.config().steps, visual.config().lr) == (steps, 0.01)


@pytest.mark.parametrize(
    ("visual", "message"),
    [
        ("{encoder: st_gnc}", "did you mean 'st_gcn'"),
        ("{encoder: st_gcn, train: {epoch: 3}}", "did you mean 'epochs'"),
        ("{encoder: st_gcn, train: {epochs: 0}}", "1 or more"),
        ("{encoder: kinematic, train: {epochs: 3}}", "is not trained"),
        ("{encoder: st_gcn, seed: all}", "0 to 2147483647, or each"),
        ("{encodr: st_gcn}", "did you mean 'encoder'"),
        ("{encoder: st_gcn, train: {epochs: 12.5}}", "allowed: a whole number"),
        ("{encoder: st_gcn, train: {lr: fast}}", "lr: 'fast' is impossible; allowed: a finite number"),
        ("{encoder: st_gcn, protocol: 3}", "a name such as xsub_300"),
        ("{encoder: st_gcn, options: {partition: offical}}", "did you mean 'official'"),
        ("{encoder: shift_gcn, options: {partition: official}}", "unknown option; allowed: shift_grad"),
        ("{encoder: ctr_gcn, options: {preset: official}}", "preset: 'official' is unknown"),
        ("{encoder: kinematic, options: {partition: official}}", "is not trained"),
    ],
)
def test_a_wrong_encoder_is_refused(place, visual, message):
    (place / "s.yaml").write_text(f"study: s\ngrid:\n  visual: [{visual}]\n")
    with pytest.raises(SpecError) as caught:
        read_study(place / "s.yaml", Settings.load())
    assert message in str(caught.value)
    assert "grid.visual[0] (line 3)" in str(caught.value)


def test_predict_ranks_phrases_for_a_skeleton_and_for_features(place, minilm, capsys):
    plan, _, store = sweep(place, SPEC.replace("GAMMAS", "0.01").replace("seeds: 2", "seeds: 1"))
    trial = plan.to_run[1]
    np.save(place / "clip.npy", np.load(place / "data/cmu/skeletons/clips/all_position.npy")[:3])
    capsys.readouterr()
    arguments = (
        "predict",
        "clip.npy",
        "walk",
        "climb a ladder=A ladder leans on a wall.",
        "--trial",
        trial.key[:12],
    )
    assert run(*arguments, "--model", minilm, "--json") == 0
    out = capsys.readouterr()
    assert "training 2 epochs again" in out.err
    answer = json.loads(out.out)
    # 12 frames are no prepared window: each of the three is cut like a recording
    assert answer["samples"] == 9
    stored = store.results([trial.key])[trial.key]["final_accuracy"]
    assert answer["weights"] == f"weights trained again, with the stored accuracy of {100 * stored:.2f} %"
    assert {r["phrase"] for r in answer["ranking"]} == {"walk", "climb a ladder"}
    assert sum(r["probability"] for r in answer["ranking"]) == pytest.approx(1)
    # they are not trained a second time, and features of the same motion rank alike
    run(*arguments, "--model", minilm, "--json")
    again = capsys.readouterr()
    assert again.err == ""
    assert json.loads(again.out) == answer
    assert (
        run(
            "predict",
            "clip.npy",
            "walk",
            "--trial",
            store.names([trial.key])[trial.key],
            "--model",
            "nowhere/none",
        )
        == 2
    )
    assert "cannot be loaded" in capsys.readouterr().err
    predictor = TrainedTrial(trial, Settings.load(), encoder=plan.to_run[0])
    np.save(place / "wrong.npy", np.zeros((2, 7), np.float32))
    with pytest.raises(DataError, match=r"rows of shape \(7,\)"):
        predictor.rank(place / "wrong.npy", ["a"], ["a"], minilm)
    assert predictor.rank(place / "clip.npy", ["a"], ["a"], minilm)[1] == 9
    # weights that reach something else than what is stored are said to be others
    other = TrainedTrial(trial, Settings.load(), encoder=plan.to_run[0], accuracy=stored + 0.01)
    assert other.weights == (
        f"NOT the stored weights: trained again, with an accuracy of {100 * stored:.2f} % "
        f"instead of {100 * stored + 1:.2f} %"
    )
    with pytest.raises(DataError, match="allowed: alignment"):
        TrainedTrial(plan.to_run[0], Settings.load())


def test_encoding_skeletons_into_the_data_root(place, capsys):
    arguments = ("--dataset", "cmu", "--split", "split_1", "--encoder", "kinematic", "--name", "../out")
    assert run("encode", "skeleton", *arguments) == 2
    assert "--name: '../out' is no name of a folder" in capsys.readouterr().err
    assert run("encode", "skeleton", "--dataset", "cmu", "--split", "split_1", "--encoder", "kinematic") == 0
    assert (
        run(
            "encode",
            "skeleton",
            "--dataset",
            "cmu",
            "--split",
            "split_1",
            "--epochs",
            "1",
            "--set",
            "partition=true_distance",
            "--name",
            "mine",
        )
        == 0
    )
    folder = place / "data/cmu/features/mine/split_1"
    about = json.loads((folder / "about.json").read_text())
    assert about["training"]["epochs"] == 1
    assert about["options"] == {"partition": "true_distance"}
    assert np.load(folder / "train_unpooled.npy").shape[1:] == (3, 25, 256)
    assert run("data", "check") == 0
    assert "2 feature folders checked, 0 wrong" in capsys.readouterr().out
    run("data", "list")
    assert "cmu: cmu/skeletons/clips" in capsys.readouterr().out
