"""From recordings and prepared arrays to a table and an answer, with the shipped end-to-end study."""

import json

import numpy as np
import pytest

from orchestrator.settings import Settings
from orchestrator.store import Store
from tests.commands import run
from tests.conftest import ROOT, forget_settings

STUDY = str(ROOT / "experiments/cmu_end_to_end.yaml")
PER_CLASS = 2


def thinned(source, target):
    """Write an archive with a few windows of every class, clips of one window first."""
    target.mkdir()
    with np.load(source) as archive:
        arrays = dict(archive)
    # classes of few windows are needed whole: their clips are parted too
    keep = np.zeros(len(arrays["y"]), bool)
    for label in np.unique(arrays["y"]):
        rows = np.flatnonzero(arrays["y"] == label)
        _, first = np.unique(arrays["clip"][rows], return_index=True)
        keep[rows[np.sort(first)][:PER_CLASS]] = True
    keep |= np.isin(arrays["clip"], ["07_12", "09_01"])
    np.savez(target / "skeletons.npz", **{k: arrays[k][keep] for k in ("x", "y", "clip", "start")})


@pytest.mark.slow
def test_raw_clips_and_prepared_arrays_become_a_table_and_an_answer(
    shared, minilm, tmp_path, monkeypatch, capsys
):
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    thinned(shared / "data/cmu/skeletons.npz", tmp_path / "cmu")
    assert run("data", "import", "cmu", "cmu") == 0
    assert run("data", "prepare", "bvh", str(shared / "data/cmu/raw"), "--add") == 0
    assert (
        "259 entries of the class table or list without a recording here, such as 01_"
        in capsys.readouterr().err
    )
    assert run("sweep", STUDY, "--executor", "inline") == 0
    capsys.readouterr()
    run("report", "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["simulated"] is False
    store = Store.open(Settings.load().store)
    trials = store.trials()
    assert sorted(t.config["kind"] for t in trials) == ["alignment"] * 3 + ["encoder"]
    assert all(0 <= t.final <= 1 for t in trials)
    # another γ trains no encoder
    run("plan", STUDY, "--set", "gamma=0.1")
    assert "3 to run, 1 done" in capsys.readouterr().out
    trial = next(t.key for t in trials if t.config["kind"] == "alignment")
    clip = str(shared / "data/cmu/raw/07_12.bvh")
    assert run("predict", clip, "walk", "climb a tree", "--trial", trial, "--model", minilm, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["samples"] > 1
    assert {r["phrase"] for r in answer["ranking"]} == {"walk", "climb a tree"}
    assert answer["ranking"][0]["score"] >= answer["ranking"][1]["score"]
