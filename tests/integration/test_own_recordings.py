"""A folder of somebody's own recordings becomes a data set, a sweep and an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.settings import Settings
from orchestrator.store import Store
from tests.commands import run
from tests.conftest import forget_settings
from tests.people import write_person

CLASSES = {"wave": "wave a hand", "kick": "kick with a leg", "bow": "bow forward"}
CONTEXTS = ("A person greets a friend.", "A person trains for football.", "A person thanks an audience.")
PREFIX = "mixamorig:"

STUDY = """
study: own
source: real
defaults:
  preset: official
  dataset: moves
  split: "1"
  text: sbert
  visual: {encoder: st_gcn, train: {epochs: 30, batch_size: 6}}
  epochs: 30
  batch_size: 16
  lr: 0.001
  warmup_epochs: 1
grid: {gamma: [0.01]}
seeds: 1
checkpoint: {models: all}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(STUDY)
    return tmp_path


def _recordings(folder: Path) -> None:
    rows = ["clip;class"]
    for gesture, name in CLASSES.items():
        for take in range(4):
            write_person(
                folder / gesture / f"take{take}.bvh", "mixamo", prefix=PREFIX, gesture=gesture, seed=take
            )
            rows.append(f"{gesture}/take{take}.bvh;{name}")
    # as a spreadsheet of another country saves it
    (folder / "takes.csv").write_text("\r\n".join(rows) + "\r\n", encoding="utf-8-sig")
    described = ["class,context", *(f"{n},{c}" for n, c in zip(CLASSES.values(), CONTEXTS, strict=True))]
    (folder / "classes.csv").write_text("\n".join(described) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mixamo_files_become_a_data_set_a_sweep_and_an_answer(here, minilm, capsys):
    _recordings(here / "takes")
    assert run("data", "new", "moves", "takes/classes.csv", "--split", "1=bow forward") == 0
    assert "3 classes, splits 1, random/U/k" in capsys.readouterr().out
    arguments = ("--dataset", "moves", "--classes", "takes/takes.csv", "--processes", "1")
    assert run("data", "prepare", "bvh", "takes", *arguments) == 0
    said = capsys.readouterr()
    assert "36 all samples" in said.out
    assert "12 recordings: joint map mixamo" in said.err
    assert "12 recordings: unit cm found from the body" in said.err
    assert "12 recordings: no left_thumb in the skeleton, filled from left_hand" in said.err
    assert run("encode", "text", "--dataset", "moves", "--model", minilm) == 0
    assert run("sweep", "own.yaml", "--executor", "inline") == 0
    capsys.readouterr()
    trials = Store.open(Settings.load().store).trials()
    assert sorted(t.config["kind"] for t in trials) == ["alignment", "encoder"]
    trial = next(t.key for t in trials if t.config["kind"] == "alignment")

    def answer(path: Path, *options: str) -> tuple[dict[str, float], str]:
        phrases = [CLASSES["wave"], CLASSES["kick"]]
        assert (
            run("predict", str(path), *phrases, "--trial", trial, "--model", minilm, "--json", *options) == 0
        )
        out, err = capsys.readouterr()
        return {r["phrase"]: r["probability"] for r in json.loads(out)["ranking"]}, err

    wave, said_of_it = answer(write_person(here / "new.bvh", "mixamo", prefix=PREFIX, seed=9))
    assert wave[CLASSES["wave"]] > 0.5
    assert "joint map mixamo" in said_of_it
    assert "unit cm found from the body: 1.70 m" in said_of_it
    kick, _ = answer(write_person(here / "kick.bvh", "mixamo", prefix=PREFIX, gesture="kick", seed=9))
    assert kick[CLASSES["kick"]] > wave[CLASSES["kick"]]
    inches = write_person(here / "inches.bvh", "mixamo", prefix=PREFIX, seed=9, unit=0.0254)
    assert answer(inches)[0] == pytest.approx(wave, abs=1e-4)
    odd = write_person(here / "odd.bvh", "mixamo", prefix=PREFIX, seed=9, unit=0.3)
    assert run("predict", str(odd), "wave", "kick", "--trial", trial, "--model", minilm) == 2
    assert "0.5 to 3 m; --unit 0.3 would make it 1.7 m" in capsys.readouterr().err
    assert answer(odd, "--unit", "0.3")[0] == pytest.approx(wave, abs=1e-4)
