"""One contract, every database."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.errors import LeaseLostError, StoreError
from orchestrator.records import Failure, Outcome, Slot
from orchestrator.store import EpochRow, Store
from orchestrator.store.database import Database
from orchestrator.store.schema import REVISION
from orchestrator.trial import State, Trial
from tests.conftest import ROOT

OUTCOME = Outcome(
    {"final_accuracy": 0.5, "final_class_accuracy": 0.4, "best_accuracy": 0.6, "best_epoch": 2.0},
    {"final": {1: (2, 4), 2: (0, 1)}},
    3.5,
)


def make(seed=0, **options):
    return Trial(
        method="dvta", revision=1, dataset="ntu60", split="55/5", visual="shift_gcn", text="sbert", seed=seed,
        source="simulated", data_digest="d", options={"gamma": 0.01, **options}, training={"epochs": 3},
    )  # fmt: skip


def rows(*epochs):
    return [EpochRow(e, 100.0 + e, {"loss": 1.0 / e, "accuracy": 0.1 * e}) for e in epochs]


class StoreContract:
    @pytest.fixture
    def url(self):
        raise NotImplementedError

    @pytest.fixture
    def store(self, url):
        return Store.open(url)

    def test_a_trial_runs_once(self, store):
        trial = make()
        claim = store.claim(trial, "a", 60, {"git_commit": "c"})
        assert (claim.number, claim.resumed, claim.epoch) == (1, False, 0)
        assert store.claim(trial, "b", 60, {}) is None
        assert store.statuses([trial.key])[trial.key].state is State.RUNNING
        store.record(claim.attempt_id, "a", rows(1, 2))
        store.record(claim.attempt_id, "a", rows(2, 3), outcome=OUTCOME)
        assert [r.epoch for r in store.epochs(claim.attempt_id)] == [1, 2, 3]
        assert store.epochs(claim.attempt_id)[1].metrics == {"loss": 0.5, "accuracy": 0.2}
        assert store.per_class(claim.attempt_id, "final") == {1: (2, 4), 2: (0, 1)}
        assert store.results([trial.key])[trial.key]["best_epoch"] == 2.0
        assert store.claim(trial, "b", 60, {}) is None
        assert store.claim(trial, "b", 60, {}, replaces=claim.attempt_id).number == 2

    def test_only_the_holder_writes_and_the_finished_stay(self, store):
        claim = store.claim(make(), "a", 60, {})
        for write in (
            lambda: store.record(claim.attempt_id, "b", rows(1)),
            lambda: store.release(claim.attempt_id, "b"),
            lambda: store.prune(claim.attempt_id, "b"),
        ):
            with pytest.raises(LeaseLostError):
                write()
        store.record(claim.attempt_id, "a", [], failure=Failure("non_finite", "loss is nan", "trace"))
        with pytest.raises(LeaseLostError):
            store.record(claim.attempt_id, "a", rows(1))
        status = store.statuses([make().key])[make().key]
        assert (status.state, status.error) == (State.FAILED, "non_finite: loss is nan")

    def test_an_error_that_quotes_bytes_is_kept(self, store):
        claim = store.claim(make(), "a", 60, {})
        failure = Failure("error", "cannot read \0 in a\udcff", "line \0\udcff")
        store.record(claim.attempt_id, "a", [], failure=failure)
        assert store.statuses([make().key])[make().key].error == r"error: cannot read \x00 in a\udcff"
        assert store.tracebacks([claim.attempt_id]) == {claim.attempt_id: r"line \x00\udcff"}

    def test_an_expired_lease_is_taken_over_and_its_attempt_continued(self, store):
        claim = store.claim(make(), "a", -1, {})
        assert store.statuses([make().key])[make().key].state is State.INTERRUPTED
        store.record(claim.attempt_id, "a", rows(1, 2))
        again = store.claim(make(), "b", 60, {})
        assert (again.attempt_id, again.resumed, again.epoch, again.restarts) == (
            claim.attempt_id,
            True,
            2,
            1,
        )
        with pytest.raises(LeaseLostError):
            store.record(claim.attempt_id, "a", rows(3))
        assert store.renew("a", [claim.attempt_id], 60) == {claim.attempt_id}
        assert store.renew("b", [claim.attempt_id], 60) == set()

    def test_released_attempts_can_be_had_at_once(self, store):
        one, other = store.claim(make(0), "a", 60, {}), store.claim(make(1), "a", 60, {})
        store.release(one.attempt_id, "a")
        assert store.claim(make(0), "b", 60, {}).attempt_id == one.attempt_id
        store.release_all("a")
        assert store.claim(make(1), "b", 60, {}).attempt_id == other.attempt_id

    def test_many_drivers_claim_every_trial_once(self, store, url):
        trials = [make(seed) for seed in range(12)]
        won: list[int] = []

        def drive(name):
            own = Store.open(url)
            won.extend(t.seed for t in trials if own.claim(t, name, 60, {}))

        threads = [threading.Thread(target=drive, args=(f"driver {i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == list(range(12))

    def test_a_study_keeps_its_order_and_is_replaced(self, store):
        slots = [
            Slot("table5", "b", "x", make(1)),
            Slot("table5", "a", "x", make(0)),
            Slot("table6", "a", "x", None, "no text"),
        ]
        study = store.save_study("s", "spec", slots)
        assert store.save_study("s", "spec", slots) == study
        cells = store.cells(study)
        assert [(c.row, c.seed, c.missing) for c in cells] == [
            ("b", 1, None),
            ("a", 0, None),
            ("a", None, "no text"),
        ]
        assert [c.config["gamma"] for c in store.cells(study, "table5")] == [0.01, 0.01]
        claim = store.claim(make(1), "a", 60, {"git_commit": "abc"})
        store.record(claim.attempt_id, "a", rows(1), outcome=OUTCOME)
        value = store.cells(study, "table5")[0]
        assert (value.value("final"), value.value("best")) == (0.5, 0.6)
        (attempt,) = store.attempts([value.key])
        assert (attempt.attempt_id, attempt.provenance["git_commit"]) == (claim.attempt_id, "abc")
        standing = store.standing(study)
        assert (standing.trials, dict(standing.counts)) == (2, {"done": 1, "to run": 1})
        assert standing.seconds == pytest.approx(make(0).training["epochs"] * 3.5 / 3)
        going = store.claim(make(0), "host/x", 60, {})
        store.record(going.attempt_id, "host/x", rows(1, 2))
        assert store.standing(study).running == (
            (
                make(0).key,
                "dvta[dataset=ntu60,split=55/5,seed=0,source=simulated]",
                2,
                make(0).training["epochs"],
                "host",
            ),
        )
        assert len(store.trials({"seed": 1, "gamma": 0.01})) == 1
        assert store.trials({"gamma": 0.5}) == []
        # texts as they are printed
        assert len(store.trials({"seed": "1", "gamma": "1e-2", "method": "dvta"})) == 1
        assert store.trials({"seed": "one"}) == store.trials({"gamma": "low"}) == []
        assert [v.key for v in store.trials({"state": "done"})] == [make(1).key]
        assert store.trials({"state": "not run"}) == []
        assert store.find_study(table="table6") == (study, "s")
        assert store.seconds_per_epoch()["dvta", "ntu60"] == pytest.approx(3.5 / 3)
        with pytest.raises(StoreError, match="table 9: no study here has cells of it; studies here: s"):
            store.find_study(table="table9")

    def test_a_cell_that_two_drivers_add_at_once_stays_single(self, store, url, monkeypatch):
        study, other = store.save_study("s", "", []), Store.open(url)
        slots = [Slot("grid", "r", "c", make())]
        adding = threading.Thread(target=other.add_slots, args=(study, slots))
        add = store._add_slots

        def meanwhile(*arguments):
            add(*arguments)
            adding.start()
            adding.join(0.5)

        monkeypatch.setattr(store, "_add_slots", meanwhile)
        store.add_slots(study, slots)
        adding.join()
        assert len(store.cells(study)) == 1

    def test_a_redo_that_runs_does_not_hide_what_was_measured(self, store):
        study = store.save_study("s", "", [Slot("t", "r" * 500, "c" * 500, make())])
        claim = store.claim(make(), "a", 60, {})
        store.record(claim.attempt_id, "a", rows(1), outcome=OUTCOME)
        store.claim(make(), "a", 60, {}, replaces=claim.attempt_id)
        assert store.cells(study)[0].value("final") == 0.5

    @pytest.mark.parametrize("end", [{"outcome": OUTCOME}, {"failure": Failure("error", "no")}])
    def test_two_drivers_that_planned_a_repetition_repeat_once(self, store, end):
        seen = store.claim(make(), "a", 60, {}).attempt_id
        store.record(seen, "a", [], **end)
        again = store.claim(make(), "a", 60, {}, replaces=seen)
        assert store.claim(make(), "b", 60, {}, replaces=seen) is None
        store.release(again.attempt_id, "a")
        assert store.claim(make(), "b", 60, {}, replaces=seen).attempt_id == again.attempt_id
        store.record(again.attempt_id, "b", [], **end)
        assert store.claim(make(), "a", 60, {}, replaces=seen) is None

    def test_a_newer_schema_is_refused(self, store, url):
        assert store.revision() == REVISION
        with store.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreError, match="newer than this program"):
            Store.open(url)


class TestSQLite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/runs/dvta.db"

    def test_every_released_schema_has_an_asset(self):
        found = sorted(p.name for p in (ROOT / "tests/assets").glob("store_v*.db"))
        assert found == [f"store_v{n:04}.db" for n in range(1, int(REVISION))]

    @pytest.mark.parametrize("schema", ["0001", "0002"])
    def test_a_released_schema_is_migrated_after_a_backup(self, tmp_path, schema):
        old = tmp_path / "dvta.db"
        shutil.copyfile(ROOT / f"tests/assets/store_v{schema}.db", old)
        store = Store.open(f"sqlite:///{old}", create=False)
        assert store.revision() == REVISION == "0003"
        cells = store.cells(store.find_study("old")[0], "table5")
        assert [c.value("best") for c in cells] == [0.6, None]
        assert [e.metrics for e in store.epochs(cells[0].attempt_id)] == [{"loss": 2.0}, {"loss": 1.0}]
        backup = tmp_path / "dvta.db.before-0003"
        with sqlite3.connect(backup) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (schema,)
            assert "mlflow_uri" not in {r[1] for r in connection.execute("PRAGMA table_info(attempt)")}
        # an old and a new store end with the same tables
        new = Store.open(f"sqlite:///{tmp_path}/new.db")
        tables = [
            {t: sorted(c["name"] for c in i.get_columns(t)) for t in i.get_table_names()}
            for i in (sa.inspect(s.engine) for s in (store, new))
        ]
        assert tables[0] == tables[1]
        assert len(tables[0]) == 7

    def test_looking_creates_nothing(self, tmp_path):
        with pytest.raises(StoreError, match="nothing was run yet"):
            Store.open(f"sqlite:///{tmp_path}/no/dvta.db", create=False)
        assert list(tmp_path.iterdir()) == []

    def test_a_store_that_cannot_be_written_can_be_read(self, reader):
        store = Store.open(f"sqlite:///{reader}/dvta.db")
        study = store.save_study("s", "", [Slot("t", "r", "c", make())])
        claim = store.claim(make(), "a", 60, {})
        store.record(claim.attempt_id, "a", rows(1), outcome=OUTCOME)
        with in_the_shoes_of_a_reader(reader):  # while somebody writes it
            found = Store.open(f"sqlite:///{reader}/dvta.db", create=False)
            assert found.cells(study)[0].final == 0.5
        found.engine.dispose()
        store.engine.dispose()
        assert [p.name for p in reader.iterdir()] == ["dvta.db"]
        with in_the_shoes_of_a_reader(reader):
            found = Store.open(f"sqlite:///{reader}/dvta.db", create=False)
            assert found.cells(study)[0].final == 0.5
            assert found.statuses([make().key])[make().key].state is State.DONE
            began = time.monotonic()
            with pytest.raises(StoreError, match="failed claiming a trial .*cannot be written"):
                found.claim(make(1), "b", 60, {})
            assert time.monotonic() - began < 5
            assert [p.name for p in reader.iterdir()] == ["dvta.db"]
        shutil.copyfile(ROOT / "tests/assets/store_v0001.db", reader / "dvta.db")
        with (
            in_the_shoes_of_a_reader(reader),
            pytest.raises(StoreError, match="0001 is older .* cannot be written"),
        ):
            Store.open(f"sqlite:///{reader}/dvta.db", create=False)

    def test_readers_do_not_wait_for_a_writer(self, store, url):
        with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as connection:
            connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            assert store.statuses([make().key]) == {}
            assert store.studies() == []
            assert time.monotonic() - began < 5
            connection.execute("ROLLBACK")


@pytest.fixture
def reader():
    """Return a folder that other users can enter."""
    folder = Path(tempfile.mkdtemp(prefix="dvta-reader-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def in_the_shoes_of_a_reader(folder):
    """Be somebody who may read a folder and its files but not write them."""
    root = os.geteuid() == 0
    folder.chmod(0o555)
    for path in folder.iterdir():
        path.chmod(0o444)
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    def url(self, postgres):
        return postgres()

    def test_labels_of_the_second_schema_are_widened(self, store, url):
        with store.engine.begin() as connection:
            for change in (
                "ALTER TABLE cell ALTER COLUMN row TYPE VARCHAR(200), ALTER COLUMN col TYPE VARCHAR(200)",
                "ALTER TABLE attempt DROP COLUMN mlflow_uri",
                "UPDATE alembic_version SET version_num = '0002'",
            ):
                connection.execute(sa.text(change))
        again = Store.open(url)
        study = again.save_study("s", "", [Slot("grid", "r" * 500, "c" * 500, make())])
        assert [(len(c.row), len(c.column)) for c in again.cells(study)] == [(500, 500)]
        assert "mlflow_uri" in {c["name"] for c in sa.inspect(again.engine).get_columns("attempt")}


class Away:
    """An engine's event handler: the database is out of reach for so many statements."""

    def __init__(self, times):
        self.left = times

    def __call__(self, *arguments):
        if self.left:
            self.left -= 1
            raise sa.exc.OperationalError("", {}, Exception("the server went away"))


@pytest.mark.parametrize("read", ["statuses", "standing", "studies"])
def test_every_read_waits_for_the_server_and_then_names_it(tmp_path, monkeypatch, read):
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    study = store.save_study("s", "", [Slot("t", "r", "c", make())])
    arguments = {"statuses": [[make().key]], "standing": [study], "studies": []}[read]
    away = Away(2)
    sa.event.listen(store.engine, "before_cursor_execute", away)
    getattr(store, read)(*arguments)
    assert away.left == 0
    away.left = 10**6
    monkeypatch.setattr(Database, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(StoreError, match="failed reading .*went away"):
        getattr(store, read)(*arguments)


def test_an_unreachable_store_is_named_without_its_password():
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/none")
    assert "127.0.0.1:1/none" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://me:secret@host:abc/x", "nothing://me:secret@host/x"])
def test_an_impossible_address_of_a_store_is_named_without_its_password(url):
    with pytest.raises(StoreError, match="store host") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)
