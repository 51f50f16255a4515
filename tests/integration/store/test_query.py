"""One's own SQL on real databases: the documented views, and nothing but reading."""

import gc
import re

import pytest
import sqlalchemy as sa

from orchestrator.errors import StoreError
from orchestrator.records import EpochRow, Outcome, Slot
from orchestrator.store import Store
from orchestrator.store.query import VIEWS, query
from orchestrator.trial import Trial
from tests.conftest import ROOT


@pytest.fixture
def store(either_database):
    store = Store.open(either_database)
    trials = [
        Trial("dvta", 1, "cmu", "split_1", "v", "t", seed, "real", "d", {"gamma": 0.1}, {"epochs": 2})
        for seed in range(3)
    ]
    store.save_study("s", "", [Slot("grid", "gamma=0.1", "accuracy", trial) for trial in trials])
    for trial in trials[:2]:
        claim = store.claim(trial, "me", 60, {"git_commit": "abc"})
        rows = [EpochRow(epoch, 1.0, {"loss": 2.0 / epoch}) for epoch in (1, 2)]
        outcome = Outcome({"final_accuracy": 0.25 * (trial.seed + 1)}, {}, 1.0)
        store.record(claim.attempt_id, "me", rows, outcome=outcome)
    return store


def test_the_views_hold_what_was_measured(store):
    columns, rows = query(store, "SELECT seed, state, final FROM results ORDER BY seed")
    assert columns == ["seed", "state", "final"]
    assert list(rows) == [(0, "done", 0.25), (1, "done", 0.5), (2, "not run", None)]
    losses = "SELECT epoch, value FROM epochs JOIN results USING (key) WHERE metric = 'loss' AND seed = 0"
    assert list(query(store, f"{losses} ORDER BY epoch")[1]) == [(1, 2.0), (2, 1.0)]
    counted = 'SELECT study, "table", "row", "column", COUNT(*) FROM cells GROUP BY 1, 2, 3, 4'
    assert list(query(store, counted)[1]) == [("s", "grid", "gamma=0.1", "accuracy", 3)]
    with_cte = "WITH best AS (SELECT MAX(final) AS m FROM results) SELECT m FROM best"
    assert list(query(store, with_cte)[1]) == [(0.5,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM attempt",
        "UPDATE trial SET seed = 7",
        "DROP TABLE epoch_metric",
        "SELECT 1; DELETE FROM attempt",
        "CREATE TABLE mine (x int)",
        "SELECT nothing FROM results",
        "no sql at all",
        "",
    ],
)
def test_anything_but_one_select_is_refused_and_changes_nothing(store, sql, caplog):
    with pytest.raises(StoreError, match="allowed: one SELECT"):
        list(query(store, sql)[1])
    assert len(store.trials()) == 3
    assert {v.seed for v in store.trials()} == {0, 1, 2}
    assert set(sa.inspect(store.engine).get_table_names()) == {
        "alembic_version", "attempt", "cell", "class_accuracy", "epoch_metric", "study", "trial",
    }  # fmt: skip
    # the views were the connection's own, and it is gone, without a word
    gc.collect()
    assert caplog.messages == []
    assert store.statuses([v.key for v in store.trials()])


def test_every_column_of_the_views_is_documented(store):
    documented = (ROOT / "docs/results.md").read_text()
    assert len(VIEWS) == 3
    for name in VIEWS:
        columns, rows = query(store, f"SELECT * FROM {name}")
        list(rows)
        (line,) = re.findall(rf"^\| `{name}` \|.*\|$", documented, re.MULTILINE)
        assert re.findall(r"`(\w+)`", line)[1:] == columns
