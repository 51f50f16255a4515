"""Phrases without a text model: classes by what is stored, other words by what was encoded earlier."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from dvta.errors import DataError
from orchestrator.execute.phrases import Phrases
from orchestrator.execute.trained import load_trained
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.store.find import load_trial
from tests.commands import run
from tests.conftest import forget_settings

DEVISE = "devise[dataset=cmu]"
SPEC = """
study: small
source: simulated
grid: {method: [devise, synse]}
defaults: {dataset: cmu, split: split_1, epochs: 2, train_per_class: 4, test_per_class: 5, cycle_steps: 5}
seeds: 1
checkpoint: {models: all}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert run("sweep", "small.yaml", "--executor", "inline") == 0
    np.save("motion.npy", np.abs(np.random.default_rng(0).normal(size=(4, 256))).astype(np.float32))
    return tmp_path


def test_classes_need_no_text_model_and_other_words_only_once(here, minilm, capsys):
    settings, store = Settings.load(), Store.open(Settings.load().store)
    trial = load_trial(store, DEVISE)
    names = load_trained(store, settings, trial).features.class_names
    known = [names[3], names[7].upper()]
    capsys.readouterr()
    assert run("predict", "motion.npy", *known, "--trial", DEVISE, "--json") == 0
    ranking = json.loads(capsys.readouterr().out)["ranking"]
    assert {entry["phrase"] for entry in ranking} == set(known)
    # the stored features of the classes, everything of them
    trained = load_trained(store, settings, load_trial(store, "synse[dataset=cmu]"))
    stored = trained.features.class_text
    text = Phrases(settings, trained.trial).text(known, known, stored)
    for field in ("labels", "contexts", "verbs", "nouns", "parts", "motions"):
        assert torch.equal(getattr(text, field), getattr(stored, field)[[3, 7]]), field
    # a sentence of one's own is not the class's
    with pytest.raises(DataError, match="text model .* cannot be loaded"):
        Phrases(settings, trial).require(known, ["Somebody does it.", known[1]])
    assert run("predict", "motion.npy", "fly a kite", known[0], "--trial", DEVISE) == 2
    assert "only classes of cmu are known, not 'fly a kite'" in capsys.readouterr().err
    asked = ("predict", "motion.npy", "fly a kite=The wind is strong.", "juggle", "--trial", DEVISE, "--json")
    assert run(*asked, "--model", minilm) == 0
    told = capsys.readouterr().out
    assert run(*asked) == 0
    assert json.loads(capsys.readouterr().out)["ranking"] == json.loads(told)["ranking"]
    mixed = Phrases(settings, trial).text(["juggle", names[3]], ["juggle", names[3]], stored)
    assert torch.equal(mixed.labels[1], stored.labels[3])
    assert not torch.equal(mixed.labels[0], stored.labels[3])
    assert mixed.parts.shape == (2, *stored.parts.shape[1:])


def test_a_model_that_is_not_there_is_said_before_anything_heavy_is_imported(here):
    code = (
        "import sys\nfrom orchestrator.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(*(m for m in ('torch', 'transformers') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "motion.npy", "fly a kite", "--trial", DEVISE],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout.split() == []
    (message,) = done.stderr.splitlines()
    assert "text model 'sentence-transformers/all-MiniLM-L6-v2' cannot be loaded" in message


def test_doctor_says_which_text_models_are_here(here, capsys):
    run("doctor")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "text models" in line]
    assert line.startswith("ok    text models here: ")
    assert "HF_HUB_OFFLINE is set; other models by their folder: --model FOLDER" in line
