"""Trials that train next to nothing, through Ray, store and mirror: what is left is orchestration."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from orchestrator.cli.progress import SweepProgress
from orchestrator.store import Store
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study
from orchestrator.sweep import make_executor, run_study
from tests.sweeps import settings_of

WARM = 10  # trials after which every actor is there
SPEC = """
study: near_empty
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, aa: false, sde: false, visual_projector: linear,
           text_projector: identity, train_per_class: 1, test_per_class: 1, visual_dim: 8, epochs: 1}
grid: {gamma: [0.01]}
seeds: SEEDS
"""


class Swept(NamedTuple):
    """Milliseconds from one end of a warm trial to the next, and when the warm ones ended.

    Attributes:
        first, last: Unix seconds of the first and the last warm end.
        flushed: when the mirror's last flush was done. closed: when the cluster was shut down too.
        ends: how many warm trials ended.
    """

    pace: float
    first: float
    last: float
    flushed: float
    closed: float
    ends: int


def sweep(folder: Path, trials: int, address: str = "local") -> Swept:
    """Sweep so many near-empty trials on a cluster; runs lie in ``folder/runs``."""
    path = folder / "spec.yaml"
    path.write_text(SPEC.replace("SEEDS", str(trials)))
    settings = settings_of(folder)
    study = read_study(path, settings)
    store = Store.open(settings.store)
    plan = plan_study(study, store)
    with make_executor("ray", address, study.spec) as executor:
        run_study(study, plan, store, settings, executor, SweepProgress(Console(quiet=True)))
        flushed = time.time()
    closed = time.time()
    with store.engine.connect() as connection:
        ends = sorted(row[0] for row in connection.exec_driver_sql("SELECT finished FROM attempt"))
    assert len(ends) == trials
    warm = ends[WARM:]
    pace = 1000 * (warm[-1] - warm[0]) / (len(warm) - 1)
    return Swept(pace, warm[0], warm[-1], flushed, closed, len(warm))
