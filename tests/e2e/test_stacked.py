"""A stack on a real cluster whose worker dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.processes import assert_every_trial_once, query, start, wait_for

SPEC = """
study: stacked
source: simulated
defaults: {dataset: pku, split: smie_7, visual: st_gcn, method: devise, train_per_class: 2, test_per_class: 4,
           batch_size: 32, lr: 0.001, epochs: 40}
grid: {weight_decay: [0.0]}
seeds: 4
resources: {stack: 2, cpus_per_trial: CPUS}
checkpoint: {every_seconds: 0}
"""


@pytest.mark.slow
def test_a_stack_whose_worker_dies_goes_on_and_what_waits_is_not_claimed(place):
    Path("spec.yaml").write_text(SPEC.replace("CPUS", str(os.cpu_count())))  # one worker
    sweep = start("sweep", "spec.yaml")
    wait_for(lambda: query("SELECT 1 FROM epoch_metric WHERE epoch >= 3"))
    running = query("SELECT json_extract(worker, '$.stack'), json_extract(worker, '$.pid') FROM attempt")
    assert len(running) == 2
    assert len(set(running)) == 1
    ((stack, pid),) = set(running)
    assert stack == 2
    os.kill(pid, signal.SIGKILL)
    out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, out + err
    assert "restarted" in err
    assert_every_trial_once(40)
    # the other two were stacked to their end; the first two went on apart
    assert query("SELECT restarts, count(*) FROM attempt GROUP BY restarts") == [(0, 3), (1, 1)]
