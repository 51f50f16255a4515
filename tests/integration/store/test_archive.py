"""Results that travel: archives, merged stores, and what is said where they differ."""

import dataclasses
import json
import shutil
import sqlite3

import pytest
import sqlalchemy as sa

from orchestrator.errors import StoreError
from orchestrator.records import EpochRow, Failure, Outcome, Slot
from orchestrator.report.render import render
from orchestrator.report.table import build_table
from orchestrator.store import Store
from orchestrator.store.archive import import_archive, write_archive
from orchestrator.store.export import export
from orchestrator.store.several import open_several
from orchestrator.trial import State, Trial
from tests.commands import run
from tests.conftest import ROOT
from tests.study_store import make_store


def trial(method="dvta", split="split_1", seed=0):
    return Trial(
        method, 1, "cmu", split, "st_gcn", "sbert", seed, "real", "digest", {"gamma": 0.01}, {"epochs": 2}
    )  # fmt: skip


SLOTS = [
    Slot("grid", f"method={method}", split, trial(method, split, seed))
    for method in ("dvta", "smie")
    for split in ("split_1", "split_2")
    for seed in range(2)
]


def finish(store, wanted, accuracy=0.5, failure=None, seconds=1.0):
    claim = store.claim(wanted, "host/boot/ns/1/2/abc", 60, {"git_commit": "c0ffee"})
    epochs = [EpochRow(e, 10.0 + e, {"loss": 1.0 / e, "accuracy": 0.1 * e}) for e in (1, 2)]
    results = {"final_accuracy": accuracy, "best_accuracy": accuracy + 0.1, "best_epoch": 1.0}
    outcome = Outcome(results, {"final": {1: (1, 2), 3: (0, 4)}, "best": {1: (2, 2)}}, seconds)
    how = {"failure": failure} if failure else {"outcome": outcome}
    store.record(claim.attempt_id, "host/boot/ns/1/2/abc", epochs, worker={"host": "one"}, **how)
    return claim.attempt_id


def place(folder, slots=(), name="halves"):
    """Return a store in a folder in which slots of a study were run."""
    folder.mkdir(exist_ok=True)
    store = Store.open(f"sqlite:///{folder}/dvta.db")
    if slots:
        store.save_study(name, f"study: {name}\n", slots, {"splits": {"own": [1, 2]}})
    for slot in slots:
        finish(store, slot.trial, accuracy_of(slot.trial))
    return store


def accuracy_of(wanted):
    return 0.3 + 0.2 * (wanted.method == "smie") + 0.1 * (wanted.split == "split_2") + 0.01 * wanted.seed


def report(store, style="md"):
    study_id, name = store.find_study()
    return render(
        build_table(store.cells(study_id, "grid"), protocol="both", study=name, against="dvta"), style
    )


HALVES = {
    "split": lambda slot: slot.trial.split == "split_1",
    "seed": lambda slot: slot.trial.seed == 0,
    "method": lambda slot: slot.trial.method == "dvta",
}


@pytest.mark.parametrize("by", sorted(HALVES))
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_merged_store_of_two_halves_gives_the_table_of_one(tmp_path, by, target, request):
    whole = place(tmp_path / "whole", SLOTS)
    first = [s for s in SLOTS if HALVES[by](s)]
    halves = [place(tmp_path / "a", first), place(tmp_path / "b", [s for s in SLOTS if s not in first])]
    postgres = target == "postgresql"
    merged = Store.open(
        request.getfixturevalue("postgres")() if postgres else f"sqlite:///{tmp_path}/merged.db"
    )
    for i, half in enumerate(halves):
        write_archive(half, tmp_path / f"{i}.archive")
        found = import_archive(tmp_path / f"{i}.archive", merged)
        assert (found.trials, found.attempts, found.cells, found.conflicts) == (4, 4, 4, ())
    expected = json.loads(report(whole, "json"))
    assert json.loads(report(merged, "json")) == expected
    assert len(expected["cells"]) == 12
    for number in (0, 1):  # again, and from the merged store back into a half: nothing is new
        again = import_archive(tmp_path / f"{number}.archive", merged)
        assert (again.trials, again.attempts, again.cells, again.studies) == (0, 0, 0, 0)
    write_archive(merged, tmp_path / "all.archive")
    back = import_archive(tmp_path / "all.archive", halves[0])
    assert (back.trials, back.attempts, back.cells, back.conflicts) == (4, 4, 4, ())
    together, _ = open_several([str(tmp_path / "0.archive"), f"sqlite:///{tmp_path}/b/dvta.db"])
    assert report(together) == report(whole)


def test_everything_of_a_finished_attempt_travels(tmp_path):
    store = place(tmp_path / "a", SLOTS[:1])
    finish(store, SLOTS[1].trial, failure=Failure("non_finite", "the loss is not finite", "Traceback"))
    store.claim(SLOTS[2].trial, "me", 60, {})  # runs still: it stays where it is
    write_archive(store, tmp_path / "x.archive")
    other = place(tmp_path / "b")
    merged = import_archive(tmp_path / "x.archive", other)
    assert (merged.trials, merged.attempts) == (3, 2)
    keys = [s.trial.key for s in SLOTS[:3]]
    states = {key: status.state for key, status in other.statuses(keys).items()}
    assert states == {keys[0]: State.DONE, keys[1]: State.FAILED}
    failed = other.attempts(keys)[1]
    assert failed.error == "the loss is not finite"
    done = store.attempts(keys[:1])[0], other.attempts(keys[:1])[0]
    assert dataclasses.replace(done[1], attempt_id=0, provenance={}) == dataclasses.replace(
        done[0], attempt_id=0, provenance={}
    )
    assert done[1].provenance["git_commit"] == "c0ffee"
    assert done[1].provenance["imported"].startswith("archive ")
    assert other.epochs(done[1].attempt_id) == store.epochs(done[0].attempt_id)
    assert other.per_class(done[1].attempt_id, "final") == {1: (1, 2), 3: (0, 4)}
    assert other.tracebacks([failed.attempt_id]) == {failed.attempt_id: "Traceback"}
    assert other.own_splits("own") == [(1, 2)]
    # what did not travel is run there
    assert other.claim(SLOTS[2].trial, "me", 60, {}).number == 1


def test_a_trial_done_in_both_counts_once_and_different_results_are_told(tmp_path, monkeypatch, capsys):
    same, other = SLOTS[0].trial, SLOTS[1].trial
    a, b = place(tmp_path / "a", SLOTS[:2]), place(tmp_path / "b", SLOTS[:1])
    b.add_slots(b.find_study()[0], SLOTS[1:2])
    finish(b, other, 0.9)
    for store, name in ((a, "a"), (b, "b")):
        write_archive(store, tmp_path / f"{name}.archive")
    into_a = import_archive(tmp_path / "b.archive", a)
    into_b = import_archive(tmp_path / "a.archive", b)
    assert [c.key for c in into_a.conflicts] == [c.key for c in into_b.conflicts] == [other.key]
    assert into_a.conflicts[0].here == pytest.approx({"final_accuracy": 0.31, "best_accuracy": 0.41})
    assert into_a.conflicts[0].there["final_accuracy"] == 0.9
    assert (into_a.conflicts[0].counts, into_b.conflicts[0].counts) == (True, False)
    # the order of merging changes no table, and both attempts can be looked into
    assert report(a) == report(b)
    for store in (a, b):
        assert store.results([same.key, other.key])[other.key]["final_accuracy"] == 0.9
        assert len(store.attempts([same.key])) == len(store.attempts([other.key])) == 2
        assert [attempt.number for attempt in store.attempts([other.key])] in ([1, 2], [2, 1])
        assert store.statuses([other.key])[other.key].state is State.DONE
        assert not import_archive(tmp_path / "b.archive", store).conflicts
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/c/dvta.db")
    place(tmp_path / "c", SLOTS[:2])
    assert run("db", "import", str(tmp_path / "b.archive")) == 1
    out, err = capsys.readouterr()
    assert "0 of 2 trials and 2 of 2 attempts are new, 0 cells added" in out
    assert "1 trial done in both with different results" in err
    assert "final_accuracy 0.31 here, 0.9 there" in err
    places = ("--store", str(tmp_path / "a.archive"), "--store", str(tmp_path / "b.archive"))
    assert run("report", *places, "--explain", "dvta", "split_1") == 0
    out, err = capsys.readouterr()
    assert "b.archive: 1 trial done in both with different results" in err
    assert out.count("<- this number") == 2
    assert out.count("attempt 1: done") == out.count("attempt 2: done") == 2


def test_a_failure_elsewhere_does_not_undo_what_was_measured_here(tmp_path):
    a, b = place(tmp_path / "a", SLOTS[:1]), place(tmp_path / "b")
    finish(b, SLOTS[0].trial, failure=Failure("error", "no"))
    write_archive(b, tmp_path / "b.archive")
    assert import_archive(tmp_path / "b.archive", a).attempts == 0
    assert a.statuses([SLOTS[0].trial.key])[SLOTS[0].trial.key].state is State.DONE
    write_archive(a, tmp_path / "a.archive")
    assert import_archive(tmp_path / "a.archive", b).attempts == 1


def test_a_clock_that_is_ahead_hinders_no_retry(tmp_path):
    key = SLOTS[0].trial.key
    a, b = place(tmp_path / "a"), place(tmp_path / "b")
    finish(b, SLOTS[0].trial, failure=Failure("error", "no"))
    changed(tmp_path / "b/dvta.db", "UPDATE attempt SET started = started + 1000, finished = finished + 1000")
    write_archive(b, tmp_path / "b.archive")
    import_archive(tmp_path / "b.archive", a)
    newest = a.statuses([key])[key]
    claim = a.claim(SLOTS[0].trial, "me", 60, {}, replaces=newest.attempt_id)
    assert claim.number == 2
    assert a.statuses([key])[key].attempt_id == claim.attempt_id


def test_a_filled_cell_takes_the_place_of_a_reason(tmp_path):
    a = place(tmp_path / "a")
    a.save_study("halves", "study: halves\n", [Slot("grid", "r", "c", None, "no features here")])
    b = place(tmp_path / "b", [Slot("grid", "r", "c", SLOTS[0].trial)])
    for source, target in ((b, a), (a, b)):
        path = tmp_path / f"{id(source)}.archive"
        write_archive(source, path)
        import_archive(path, target)
        cells = target.cells(target.find_study()[0])
        assert [(cell.missing, cell.final) for cell in cells] == [(None, pytest.approx(0.3))]


def test_an_archive_may_hold_one_study(tmp_path, monkeypatch, capsys):
    store = place(tmp_path, SLOTS[:2], "one")
    store.save_study("two", "study: two\n", SLOTS[2:4])
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/dvta.db")
    assert run("db", "export", "--archive", str(tmp_path / "x"), "--study", "one") == 0
    assert "x: 2 trials, 2 finished attempts, 1 study, content " in capsys.readouterr().out
    other = place(tmp_path / "b")
    assert import_archive(tmp_path / "x", other).studies == 1
    assert [name for _, name, _ in other.studies()] == ["one"]
    for arguments, message in (
        ((), "allowed: a FOLDER for CSV files, or --archive FILE"),
        (("csv", "--archive", "y"), "allowed: a FOLDER for CSV files, or --archive FILE"),
        (("csv", "--study", "one"), "allowed: with --archive"),
        (("--archive", str(tmp_path / "x")), "exists; name a new file"),
        (("--archive", str(tmp_path / "y"), "--study", "three"), "studies here: "),
    ):
        assert run("db", "export", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "y").exists()
    assert not list(tmp_path.glob(".*"))


def changed(path, *statements):
    with sqlite3.connect(path) as file:
        for statement in statements:
            file.execute(statement)
    file.close()


DAMAGE = {
    "cut": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "is damaged"),
    "a flipped byte": (
        lambda p: p.write_bytes(p.read_bytes().replace(b"c0ffee", b"c0ffed")),
        "table 'attempt'",
    ),
    "another number": (lambda p: changed(p, "UPDATE attempt SET final_accuracy = 0.99"), "table 'attempt'"),
    "bytes for a text": (lambda p: changed(p, "UPDATE attempt SET owner = x'ff00'"), "is damaged"),
    "a missing epoch": (
        lambda p: changed(p, "DELETE FROM epoch_metric WHERE epoch = 2"),
        "table 'epoch_metric'",
    ),
    "a table more": (lambda p: changed(p, "CREATE TABLE more (x)"), "other tables than it names"),
    "a trigger": (
        lambda p: changed(p, "CREATE TRIGGER t AFTER INSERT ON trial BEGIN DELETE FROM cell; END"),
        "other tables than it names",
    ),
    "a text": (lambda p: p.write_text("hello\n" * 1000), "is damaged, or something else"),
    "empty": (lambda p: p.write_bytes(b""), "is no archive of a store"),
    "gone": (lambda p: p.unlink(), "there is no such file"),
    "newer": (
        lambda p: changed(p, "UPDATE archive SET value = '9999' WHERE name = 'schema'"),
        "update dvta-orch",
    ),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_a_damaged_archive_is_refused_with_one_message_and_changes_nothing(
    tmp_path, damage, monkeypatch, capsys
):
    write_archive(place(tmp_path / "a", SLOTS[:2]), tmp_path / "x.archive")
    spoil, message = DAMAGE[damage]
    spoil(tmp_path / "x.archive")
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/b/dvta.db")
    assert run("db", "import", str(tmp_path / "x.archive")) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert "x.archive" in err
    assert message in err
    assert not (tmp_path / "b/dvta.db").exists()


def test_a_trial_whose_content_is_not_its_keys_is_refused_though_its_digest_is_right(tmp_path):
    store = place(tmp_path / "a", SLOTS[:2])
    changed(tmp_path / "a/dvta.db", "UPDATE trial SET method = 'best' WHERE id = 1")
    with pytest.raises(StoreError, match="its key is not that of its configuration"):
        write_archive(store, tmp_path / "x.archive")
    assert not (tmp_path / "x.archive").exists()


def test_a_plain_store_is_no_archive(tmp_path):
    place(tmp_path, SLOTS[:1])
    with pytest.raises(
        StoreError, match="is no archive of a store; one is written with: dvta-orch db export"
    ):
        import_archive(tmp_path / "dvta.db", Store.open(f"sqlite:///{tmp_path}/b.db"))


def test_several_stores_are_read_and_not_written_whatever_their_schema(tmp_path):
    old = tmp_path / "old.db"
    shutil.copy(ROOT / "tests/assets/store_v0001.db", old)
    before = old.read_bytes()
    make_store(tmp_path, rows=1, columns=1, seeds=1)
    together, added = open_several([str(old), f"sqlite:///{tmp_path}/dvta.db"])
    assert old.read_bytes() == before
    assert [path.name for path in tmp_path.glob("old.db*")] == ["old.db"]
    assert len(together.trials()) == sum(merged.trials for _, merged in added) > 1
    with pytest.raises(StoreError, match="nowhere.db: there is no such file"):
        open_several([str(tmp_path / "nowhere.db")])


@pytest.mark.parametrize("damage", ["another number", "newer", "cut", "bytes for a text"])
def test_a_damaged_archive_is_not_read_beside_others_either(tmp_path, damage):
    archive = tmp_path / "x.archive"
    write_archive(place(tmp_path / "a", SLOTS[:2]), archive)
    assert len(open_several([str(archive)])[0].trials()) == 2
    spoil, message = DAMAGE[damage]
    spoil(archive)
    with pytest.raises(StoreError, match=r"x\.archive") as caught:
        open_several([str(archive)])
    assert message in str(caught.value) or "cannot be read" in str(caught.value)
    assert "dvta-orch-stores" not in str(caught.value)


def test_a_store_that_is_none_is_named_as_it_was_given(tmp_path):
    other = tmp_path / "other.db"
    changed(other, "CREATE TABLE something (a)")
    with pytest.raises(StoreError, match=r"other\.db") as caught:
        open_several([str(other)])
    assert "dvta-orch-stores" not in str(caught.value)


def test_csv_files_stay_what_they_were(tmp_path):
    counts = export(place(tmp_path, SLOTS[:2]), tmp_path / "csv")
    assert counts["trial"] == counts["attempt"] == 2
    with Store.open(f"sqlite:///{tmp_path}/dvta.db").engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM trial")) == 2
