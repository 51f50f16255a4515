"""A store with a study that never ran: any number of trials, in all states, with curves and classes."""

from __future__ import annotations

import math
from pathlib import Path

import sqlalchemy as sa

from orchestrator.records import EpochRow, Failure, Outcome, Slot
from orchestrator.store import Store
from orchestrator.trial import Trial

PROVENANCE = {"git_commit": "0123456789abcdef", "host": "one", "torch": "2.13.0"}
TRACEBACK = (
    'Traceback (most recent call last):\n  File "loss.py", line 1\nValueError: </script><b>not finite</b>'
)


def make_store(
    folder: Path,
    *,
    rows: int = 4,
    columns: int = 2,
    seeds: int = 3,
    epochs: int = 12,
    source: str = "real",
    unfinished: bool = False,
    failed: bool = False,
    table: str = "grid",
) -> Store:
    """Write ``dvta.db`` in a folder: one study ``made`` whose row r is better than row r - 1.

    Args:
        unfinished: the last trial is not run yet. failed: the one before it has failed.
    """
    store = Store.open(f"sqlite:///{folder}/dvta.db")
    slots = [
        Slot(table, f"gamma={row / 100:g}", f"split_{column + 1}", _trial(row, column, seed, epochs, source))
        for row in range(1, rows + 1)
        for column in range(columns)
        for seed in range(seeds)
    ]
    spec = "study: made\ndescription: Made for a test\n"
    store.save_study("made", spec, slots, {"profile": "quick", "source": "auto", "set": {"epochs": "12"}})
    for i, slot in enumerate(slots):
        left = len(slots) - 1 - i
        assert slot.trial is not None
        if unfinished and left == 0:
            continue
        _run(store, slot.trial, i // seeds // columns, fails=failed and left == 1)
    return store


def make_many(folder: Path, trials: int, epochs: int) -> Store:
    """Write ``dvta.db`` with one study of many done trials, five seeds a row; made-up numbers."""
    store = Store.open(f"sqlite:///{folder}/dvta.db")
    counted = "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) SELECT n FROM c)"
    all_trials, all_epochs = counted.format(trials), counted.format(epochs)
    statements = [
        f"""INSERT INTO trial (id, key, kind, method, revision, dataset, split, visual, text, seed, source, evaluate_on,
        data_digest, options, training, stand_in) SELECT n, 'key' || n, 'alignment', 'dvta', 1, 'cmu',
        'split_' || (1 + n / 5 % 2), 'st_gcn', 'sbert', n % 5, 'real', 'unseen', 'digest',
        '{{"gamma": ' || (n / 10 * 0.001) || '}}', '{{"epochs": {epochs}}}', '{{}}' FROM {all_trials}""",
        f"""INSERT INTO attempt (id, trial_id, number, state, owner, lease_until, restarts, started, finished, seconds,
        provenance, worker, final_accuracy, best_accuracy, best_epoch, results, mirrored_epoch)
        SELECT n, n, 1, 'done', 'o', 0, 0, 0, 0, 60, '{{}}', '{{}}', 0.4 + (n % 97) / 500.0, 0.6, 1,
        '{{}}', 0 FROM {all_trials}""",
        *(
            f"""INSERT INTO epoch_metric (attempt_id, epoch, metric, value, time)
            SELECT a.n, e.n, '{metric}', 1.0 / (1 + e.n) + a.n / 12345.0, 0 FROM {all_trials} AS a, {all_epochs} AS e"""
            for metric in ("loss", "accuracy")
        ),
        "INSERT INTO study (id, name, spec, updated) VALUES (1, 'made', 'study: made', 1)",
        f"""INSERT INTO cell (study_id, table_name, "row", col, trial_id) SELECT 1, 'grid', 'row ' || (n / 10),
        'split_' || (1 + n / 5 % 2), n FROM {all_trials}""",
    ]
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement.replace(":", r"\:")))
    return store


def _trial(row: int, column: int, seed: int, epochs: int, source: str) -> Trial:
    options = {"gamma": row / 100, "sde": True}
    training = {"epochs": epochs, "lr": 1e-4, "batch_size": 64}
    stand_in = {"train_per_class": 2} if source == "simulated" else {}
    return Trial(
        "dvta", 1, "cmu", f"split_{column + 1}", "st_gcn", "sbert", seed, source, f"digest{column}", options,
        training, stand_in,
    )  # fmt: skip


def _run(store: Store, trial: Trial, row: int, *, fails: bool) -> None:
    claim = store.claim(trial, "me", 60, PROVENANCE)
    assert claim is not None
    total = int(trial.training["epochs"] or 0)
    rows = [
        EpochRow(
            n,
            float(n),
            {
                "loss": math.exp(-n / 5) * (1 + row / 4) + trial.seed / 50,
                "accuracy": 0.1 + 0.1 * row + 0.4 * n / total,
            },
        )
        for n in range(1, total + 1)
    ]
    if fails:
        failure = Failure("non_finite", "the loss is not finite", TRACEBACK)
        store.record(claim.attempt_id, "me", rows[:2], failure=failure, worker={"host": "two"})
        return
    final = 0.5 + 0.03 * row + 0.01 * trial.seed
    results = {"final_accuracy": final, "best_accuracy": final + 0.05, "best_epoch": float(total)}
    counts = {c: (c % 5 + row, 10) for c in range(5)}
    outcome = Outcome(results, {"final": counts, "best": counts}, 1.5)
    store.record(claim.attempt_id, "me", rows, outcome=outcome, worker={"host": "two", "device": "cpu"})
