"""Every method: killed with SIGKILL in the middle of its trial, it ends with the bits it would have had."""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from dvta.methods import METHODS
from tests.factories import make_skeletons
from tests.processes import run, start, wait_for

SPEC = """
study: nine
defaults: {dataset: pku, split: smie_7, visual: st_gcn, train_per_class: 2, test_per_class: 2, batch_size: 64,
           lr: 0.001, epochs: 60, warmup_epochs: 0, cycle_steps: 10, latent: 8}
overrides:   # long enough to be hit, and no longer
  - {when: {method: jpose}, set: {epochs: 30}}
  - {when: {method: revise}, set: {epochs: 20}}
  - {when: {method: relationnet}, set: {epochs: 20}}
  - {when: {method: smie}, set: {epochs: 15}}
  - {when: {method: cada_vae}, set: {epochs: 6}}
  - {when: {method: synse}, set: {epochs: 6}}
  - {when: {method: purls}, set: {epochs: 6}}
  - {when: {method: dvta}, set: {epochs: 6}}
  - {when: {method: msf}, set: {epochs: 6}}
  - {when: {method: sa_dvae}, set: {epochs: 6}}
  - {when: {method: fs_vae}, set: {epochs: 6}}
  - {when: {method: flora_sentence}, set: {latent: 64, epochs: 6, alignment_steps: 50, flow_steps: 12}}
  - {when: {method: tdsm}, set: {depth: 1, width: 64, epochs: 8, training_steps: 50}}
grid: {method: [METHODS]}
seeds: 1
checkpoint: {every_seconds: 0}
"""


def results(runs: str) -> dict[str, tuple[str, int, str]]:
    with sqlite3.connect(f"file:{Path(runs).resolve()}/dvta.db?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT t.method, a.state, a.restarts, a.results FROM attempt a JOIN trial t ON t.id = a.trial_id"
        ).fetchall()
    assert len({r[0] for r in rows}) == len(rows)
    return {method: (state, restarts, found) for method, state, restarts, found in rows}


@pytest.mark.slow
def test_every_method_survives_a_kill_bit_for_bit(place):
    names = METHODS.names()
    assert len(names) == 14
    Path("nine.yaml").write_text(SPEC.replace("METHODS", ", ".join(names)))
    run("sweep", "nine.yaml", "--executor", "inline", DVTA_RUNS="whole")
    whole = results("whole")
    assert sorted(whole) == names
    hit: set[Path] = set()

    def in_the_middle() -> Path | None:
        """Return the folder of a trial not hit before that has a few epochs behind it."""
        found = (
            p.parent
            for p in Path("killed/checkpoints").glob("*/*/*/epoch-0000*.pt")
            if p.stem > "epoch-000003"
        )
        return next((p for p in found if p not in hit), None)

    for _ in names:
        process = start("sweep", "nine.yaml", "--executor", "inline", DVTA_RUNS="killed")
        hit.add(wait_for(in_the_middle))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    run("sweep", "nine.yaml", "--executor", "inline", DVTA_RUNS="killed")
    killed = results("killed")
    assert {m: (state, found) for m, (state, _, found) in killed.items()} == {
        m: (state, found) for m, (state, _, found) in whole.items()
    }
    assert [m for m, (_, restarts, _) in killed.items() if restarts == 0] == []


JOINT = """
study: joint
source: real
defaults:
  dataset: cmu
  split: split_1
  method: devise
  train: end_to_end
  visual: {encoder: st_gcn, train: {epochs: 1, batch_size: 64}, end_to_end: {init: INIT, shear: 0.2, crop: 0.3}}
  batch_size: 16
  epochs: 6
grid: {lr: [0.001]}
seeds: 2
checkpoint: {every_seconds: 0}
resources: {cpus_per_trial: 0.5, max_concurrent: 2}
"""


@pytest.mark.slow
def test_end_to_end_trials_survive_a_kill_and_are_packed_bit_for_bit(place):
    """Encoder and alignment trained together: alone, killed in the middle, and two on one processor by Ray."""
    (place / "data").mkdir()
    make_skeletons(place / "data", per_class=1)
    spec = JOINT.replace("INIT", "trained")
    Path("joint.yaml").write_text(spec)
    run("sweep", "joint.yaml", "--executor", "inline", DVTA_RUNS="whole")
    whole = all_results("whole")
    assert [(kind, state) for kind, _, state, _ in whole] == [("alignment", "done")] * 2 + [
        ("encoder", "done")
    ]
    for _ in range(2):
        process = start("sweep", "joint.yaml", "--executor", "inline", DVTA_RUNS="killed")
        wait_for(functools.partial(new_checkpoint, "killed", checkpoints("killed")))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    run("sweep", "joint.yaml", "--executor", "inline", DVTA_RUNS="killed")
    assert all_results("killed") == whole
    run("sweep", "joint.yaml", DVTA_RUNS="packed")
    assert all_results("packed") == whole


@pytest.mark.slow
def test_an_end_to_end_trial_on_two_processes_survives_a_kill_bit_for_bit(place):
    (place / "data").mkdir()
    make_skeletons(place / "data", per_class=1)
    spec = JOINT.replace("INIT", "scratch").replace("seeds: 2", "seeds: 1")
    Path("joint.yaml").write_text(spec.replace("{cpus_per_trial: 0.5, max_concurrent: 2}", "{workers: 2}"))
    run("sweep", "joint.yaml", "--executor", "inline", DVTA_RUNS="whole")
    process = start("sweep", "joint.yaml", "--executor", "inline", DVTA_RUNS="killed")
    wait_for(functools.partial(new_checkpoint, "killed", set()))
    (other,) = (p for p in children(process.pid) if "dvta.parallel" in command_of(p))
    os.kill(process.pid, signal.SIGKILL)  # the other process is not told
    process.communicate()
    wait_for(lambda: not Path(f"/proc/{other}").exists() or not command_of(other))
    run("sweep", "joint.yaml", DVTA_RUNS="killed")  # on Ray
    assert all_results("killed") == all_results("whole")


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    """Return the command line of a process, nothing of one that has ended."""
    return Path(f"/proc/{pid}/cmdline").read_text()


def checkpoints(runs: str) -> set[Path]:
    return set(Path(runs, "checkpoints").glob("*/*/*/epoch-*.pt"))


def new_checkpoint(runs: str, before: set[Path]) -> bool:
    """Return whether a trial has gone on by a few epochs."""
    return any(p.stem > "epoch-000002" for p in checkpoints(runs) - before)


def all_results(runs: str) -> list[tuple[str, int, str, str]]:
    """Return kind, seed, state and results of every attempt, which there is one of a trial."""
    with sqlite3.connect(f"file:{Path(runs).resolve()}/dvta.db?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT t.kind, t.seed, a.state, a.results FROM attempt a JOIN trial t ON t.id = a.trial_id ORDER BY 1, 2"
        ).fetchall()
        (distinct,) = connection.execute("SELECT count(DISTINCT trial_id) FROM attempt").fetchone()
    assert distinct == len(rows)
    return rows
