"""A trial as one file by the command: kept only where it scores the trial's test samples as the trial does."""

import json

import numpy as np
import pytest
import torch

from dvta import export
from orchestrator.execute import export as exporting
from orchestrator.execute.trained import load_trained
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.store.find import load_trial
from tests.commands import run
from tests.conftest import forget_settings

SPEC = """
study: graph
source: real
defaults: {dataset: cmu, split: split_1, text: sbert, epochs: 2, cycle_steps: 5, latent: 8}
grid:
  method: [dvta, synse]
  visual: [{encoder: st_gcn, train: {epochs: 1, batch_size: 64}}, {encoder: kinematic}]
seeds: 1
checkpoint: {models: all}
"""


@pytest.fixture(scope="module")
def swept(sweep_skeletons):
    return sweep_skeletons(SPEC)


@pytest.fixture
def place(swept, monkeypatch):
    forget_settings(monkeypatch)
    monkeypatch.chdir(swept)
    return swept


def trial_of(method, visual):
    store = Store.open(Settings.load().store)
    (found,) = [
        v.key
        for v in store.trials()
        if (v.config["method"], v.config["visual"].split("-")[0]) == (method, visual)
    ]
    return load_trained(store, Settings.load(), load_trial(store, found[:12]))


@pytest.mark.parametrize("form", export.FORMS)
def test_encoder_and_alignment_score_skeletons_as_the_trial_does(place, form, capsys):
    trained, path = trial_of("dvta", "st_gcn"), place / f"whole.{form}"
    assert run("export", trained.trial.key[:12], "--format", form, "--output", str(path)) == 0
    out = capsys.readouterr().out
    count = len(trained.features.ztest)
    assert f"verified on the trial's {count} test samples: scores differ by" in out
    assert "inputs: visual (samples × 3 × 12 × 25 × 1); skeletons, recipe windows; texts baked in" in out
    run_, about = export.load(path.read_bytes(), form)
    assert about["candidates"] == [trained.features.class_names[i] for i in trained.features.unseen]
    assert about["trial"] == trained.trial.key
    # the stored features of the test samples are of the same skeletons
    rows, samples = exporting._test_samples(trained)
    assert samples == count
    text = trained.features.class_text.select(trained.features.unseen)
    with torch.no_grad():
        own = trained.method.class_scores(trained.features.ztest, text)
    torch.testing.assert_close(run_([rows(np.arange(count))]), own, atol=1e-4, rtol=0)


def test_alignment_alone_says_so_and_free_texts_are_inputs(place, capsys):
    trained, path = trial_of("dvta", "kinematic"), place / "free.pt"
    assert run("export", trained.trial.key[:12], "--texts", "free", "--output", str(path)) == 0
    out = capsys.readouterr().out
    assert "alignment only" in out
    assert "labels (candidates × 384), contexts (candidates × 384)" in out
    assert "candidates: any number from 2" in out
    run_, about = export.load(path.read_bytes(), "torchscript")
    text = trained.features.class_text.select([3, 9, 11])
    with torch.no_grad():
        own = trained.method.class_scores(trained.features.ztest, text)
    torch.testing.assert_close(
        run_([trained.features.ztest, text.labels, text.contexts]), own, atol=1e-4, rtol=0
    )
    assert json.loads(json.dumps(about))["inputs"]["labels"] == ["candidates", 384]


def test_phrases_are_baked_in_and_what_differs_is_not_kept(place, capsys, monkeypatch):
    trained, path = trial_of("synse", "kinematic"), place / "phrases.pt"
    names = trained.features.class_names
    (place / "words.txt").write_text(f"{names[2]}\n{names[5]}\n{names[20]}\n")
    asked = ("export", trained.trial.key[:12], "--phrases", "words.txt", "--output", str(path))
    assert run(*asked) == 0
    assert f"candidates: {names[2]}, {names[5]}, {names[20]}" in capsys.readouterr().out
    before = path.read_bytes()
    real = export.load

    def wrong(content, form):
        run_, about = real(content, form)
        return lambda inputs: run_(inputs) + torch.tensor(0.25), about

    monkeypatch.setattr(export, "load", wrong)
    assert run(*asked) == 2
    err = capsys.readouterr().err
    assert "scores the trial's" in err
    assert "differently, by 0.25; allowed: 0.0001" in err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--texts", "free"), "--texts free: SynSE fits a classifier"),
        (("--model", "x"), "--model x: encodes phrases, and there are none"),
        (("--output", "nowhere/a.pt"), "--output nowhere/a.pt: is a folder, or is in none"),
    ],
)
def test_what_cannot_be_exported_is_refused(place, arguments, message, capsys):
    key = trial_of("synse", "kinematic").trial.key[:12]
    assert run("export", key, "--output", "b.pt", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (place / "b.pt").exists()


def test_a_trial_on_a_split_of_the_spec_is_exported_and_drawn(sweep_skeletons, monkeypatch, capsys):
    own = "splits: {mine: [0, 5, 9]}\n" + SPEC.replace("split_1", "mine")
    place = sweep_skeletons(own.replace("[dvta, synse]", "[dvta]").replace(", {encoder: kinematic}", ""))
    forget_settings(monkeypatch)
    monkeypatch.chdir(place)
    key = trial_of("dvta", "st_gcn").trial.key[:12]
    assert run("export", key, "--output", "whole.pt") == 0
    assert "verified on the trial's" in capsys.readouterr().out
    assert run("figure", "skeletons", "--trial", key, "--output", "strips.png") == 0
