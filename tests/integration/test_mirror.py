"""The mirror with real MLflow databases: one after another, and two mirrors at once."""

import collections
import dataclasses
import math
import shutil

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.mirror import Mirror, MirrorError, without_login
from orchestrator.mirror import mirror as mirror_module
from orchestrator.mirror.studies import Experiments
from orchestrator.records import Failure, Outcome, Slot
from orchestrator.report.summary import summarize
from orchestrator.store import EpochRow, Store
from orchestrator.trial import Trial

TRIALS = [
    Trial("dvta", 1, "ntu60", "55/5", "v", "t", seed, "real", "d", {}, {"epochs": 2}) for seed in (0, 1)
]
OUTCOME = Outcome({"final_accuracy": 0.5}, {}, 1.0)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An MLflow database without runs."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def server(empty, tmp_path):
    def make(name):
        shutil.copyfile(empty, tmp_path / name)
        return f"sqlite:///{tmp_path}/{name}"

    return make


@pytest.fixture
def store(tmp_path):
    """A store with a done attempt of 2 epochs and an interrupted one of 1."""
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    store.save_study("s", "", [Slot("grid", "r", "c", trial) for trial in TRIALS])
    done, left = (store.claim(trial, "a", 60, {}) for trial in TRIALS)
    store.record(done.attempt_id, "a", rows(1, 2), outcome=OUTCOME)
    store.record(left.attempt_id, "a", rows(1))
    store.release(left.attempt_id, "a")
    return store


def rows(*epochs):
    return [EpochRow(e, 100.0 + e, {"loss": 1.0 / e}) for e in epochs]


def mirrored(uri):
    """Return (attempt, status, losses) of every child run."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("s").experiment_id
    runs = client.search_runs([experiment])
    (parent,) = [r.info.run_id for r in runs if "dvta.study" in r.data.tags]
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent]
    assert len(children) == len(runs) - 1
    return sorted(
        (
            r.data.tags["dvta.attempt"],
            r.info.status,
            [m.value for m in client.get_metric_history(r.info.run_id, "loss")],
        )
        for r in children
    )


BOTH = [("1", "FINISHED", [1.0, 0.5]), ("2", "RUNNING", [1.0])]
ENDED = [("1", "FINISHED", [1.0, 0.5]), ("2", "FINISHED", [1.0, 0.5])]


def test_the_store_alone_says_whether_there_is_something_to_copy(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    store.save_study("s", "", [Slot("grid", "r", "c", TRIALS[0])])
    mirror = Mirror(store, f"sqlite:///{tmp_path}/mlflow.db")
    assert not mirror.has_news()
    claim = store.claim(TRIALS[0], "a", 60, {})
    assert mirror.has_news()
    assert not (tmp_path / "mlflow.db").exists()
    store.record(claim.attempt_id, "a", rows(1, 2), outcome=OUTCOME)
    assert mirror.flush() == 1
    assert not mirror.has_news()


def test_another_server_is_caught_up_and_takes_what_goes_on(store, server):
    first, second = server("first.db"), server("second.db")
    assert Mirror(store, first).flush() == 2
    assert mirrored(first) == BOTH
    # a sweep that mirrors elsewhere leaves them there
    assert Mirror(store, second).flush() == 0
    assert Mirror(store, second).left_elsewhere() == 2
    assert Mirror(store, second).flush(everything=True) == 2
    assert mirrored(second) == BOTH
    again = store.claim(TRIALS[1], "b", 60, {})
    store.record(again.attempt_id, "b", rows(2), outcome=OUTCOME)
    assert Mirror(store, first).flush() == 0
    assert Mirror(store, second).flush() == 1
    assert mirrored(second) == ENDED
    assert mirrored(first) == BOTH
    # back to the first one, which knows a part already
    assert Mirror(store, first).flush(everything=True) == 2
    assert mirrored(first) == ENDED
    assert Mirror(store, first).left_elsewhere() == 0
    assert Mirror(store, first).flush(everything=True) == 0


def test_notes_that_do_not_say_of_which_server_are_made_again_without_doubles(store, server):
    uri = server("mlflow.db")
    Mirror(store, uri).flush()
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE attempt SET mlflow_uri = NULL"))
    assert Mirror(store, uri).flush() == 0
    assert Mirror(store, uri).flush(everything=True) == 2
    assert mirrored(uri) == BOTH


def test_two_mirrors_at_once_make_every_run_once(store, server, monkeypatch):
    uri = server("mlflow.db")
    second = Mirror(store, uri)
    client = second._connected()
    search, blind = client.search_runs, {"dvta.study", "dvta.attempt"}

    def late(experiments, filter_string, **more):
        """See nothing at first, as if the other mirror made its run right after."""
        name = filter_string.split("`")[1]
        if name in blind:
            blind.remove(name)
            return []
        return search(experiments, filter_string, **more)

    unmirrored = store.unmirrored(second._place, everything=False)
    Mirror(store, uri).flush()
    monkeypatch.setattr(client, "search_runs", late)
    monkeypatch.setattr(store, "unmirrored", lambda *arguments, **more: unmirrored)
    second.flush()
    assert blind == set()
    assert mirrored(uri) == BOTH


def add(store, count):
    """Add done attempts of new trials to the study."""
    trials = [dataclasses.replace(TRIALS[0], seed=100 + seed) for seed in range(count)]
    store.save_study("s", "", [Slot("grid", "r", f"c{t.seed}", t) for t in (*TRIALS, *trials)])
    for trial in trials:
        claim = store.claim(trial, "a", 60, {})
        store.record(claim.attempt_id, "a", rows(1), outcome=OUTCOME)


@pytest.mark.parametrize("many_at_once", [True, False])
def test_what_an_attempt_costs_does_not_grow_with_their_number(store, server, monkeypatch, many_at_once):
    if not many_at_once:
        monkeypatch.setattr(mirror_module, "open_bulk", lambda uri: None)
    mirror = Mirror(store, server("mlflow.db"))
    client, calls = mirror._connected(), collections.Counter()

    def counted(name, call):
        def counting(*arguments, **more):
            calls[name] += 1
            return call(*arguments, **more)

        return counting

    mirror.flush()
    names = ("search_runs", "create_run", "log_inputs", "log_batch", "set_terminated")
    for name in names:
        monkeypatch.setattr(client, name, counted(name, getattr(client, name)))
    add(store, 7)
    assert mirror.flush() == 7
    assert calls == collections.Counter(search_runs=1, **dict.fromkeys(names[1:], 0 if many_at_once else 7))


def everything_of(uri, attempt):
    """Return all that MLflow holds of the run of an attempt, but for its id and its place."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("s")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`dvta.attempt` = '{attempt}'")
    info = {k: v for k, v in dict(run.info).items() if k not in ("run_id", "run_uuid", "artifact_uri")}
    history = {
        name: sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }
    inputs = [(dict(i.dataset), [(tag.key, tag.value) for tag in i.tags]) for i in run.inputs.dataset_inputs]
    tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
    place = run.info.artifact_uri.replace(run.info.run_id, "ID")
    # MLflow itself chooses where artifacts of a database on a server go
    at = place if uri.startswith("sqlite") else ""
    return info, tags, run.data.params, run.data.metrics, history, inputs, at


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_runs_written_many_at_once_are_those_that_a_client_makes(store, server, request, monkeypatch, kind):
    trials = [dataclasses.replace(TRIALS[0], seed=7 + n, options={"gamma": 0.1}) for n in range(3)]
    store.save_study("s", "", [Slot("grid", "r", f"c{t.seed}", t) for t in (*TRIALS, *trials)])
    odd = [
        EpochRow(1, 101.0, {"loss": 0.5, "top": math.inf, "low": -math.inf}),
        EpochRow(2, 102.0, {"loss": 0.25, "top": 1.0, "low": 1.0}),
    ]
    done, failed, bare = (store.claim(trial, "a", 60, {"git_commit": "abc"}) for trial in trials)
    store.record(done.attempt_id, "a", odd, outcome=OUTCOME, worker={"host": "here"})
    store.record(failed.attempt_id, "a", odd[:1], failure=Failure("error", "it broke", ""))
    store.record(bare.attempt_id, "a", [], failure=Failure("disk", "x" * 6000, ""))
    once = server("once.db") if kind == "sqlite" else request.getfixturevalue("postgres")()
    apart = server("apart.db")
    mirror = Mirror(store, once)
    assert mirror.flush() == 5
    monkeypatch.setattr(mirror_module, "open_bulk", lambda uri: None)
    assert Mirror(store, apart).flush(everything=True) == 5
    for attempt in (done, failed, bare):
        found, expected = (everything_of(uri, attempt.attempt_id) for uri in (once, apart))
        assert found[:-1] == expected[:-1]
        assert found[-1] in ("", expected[-1])
    with sa.create_engine(once).connect() as a, sa.create_engine(apart).connect() as b:
        for table in (
            "datasets",
            "inputs",
            "input_tags",
            "params",
            "metrics",
            "latest_metrics",
            "tags",
            "runs",
        ):
            count = sa.text(f"SELECT count(*) FROM {table}")
            assert a.scalar(count) == b.scalar(count), table


def test_what_another_mirror_writes_at_the_same_moment_is_no_error(store, server, monkeypatch):
    mirror = Mirror(store, server("mlflow.db"))
    client = mirror._connected()
    log_inputs, refused = client.log_inputs, []

    def late(*arguments):
        """Refuse the first, as the database does where another mirror has just written the same."""
        log_inputs(*arguments)
        if not refused:
            refused.append(arguments)
            raise MlflowException("UNIQUE constraint failed: inputs.source_type")

    monkeypatch.setattr(client, "log_inputs", late)
    assert mirror.flush() == 2
    assert len(refused) == 1
    assert mirrored(mirror._uri) == BOTH


def test_runs_that_were_written_and_not_noted_are_noted_and_not_written_again(store, server, monkeypatch):
    uri = server("mlflow.db")

    def dies(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "note_runs", dies)
        with pytest.raises(KeyboardInterrupt):
            Mirror(store, uri).flush()
    assert Mirror(store, uri).flush() == 2
    assert mirrored(uri) == BOTH


def test_a_run_that_another_mirror_made_meanwhile_and_did_not_note_is_taken(store, server):
    uri = server("mlflow.db")
    mirror, other = Mirror(store, uri), Mirror(store, uri)
    mirror.flush()
    add(store, 1)
    other._connected()
    (attempt, trial, study) = store.unmirrored(other._place, everything=False)[-1]
    other._make(attempt, trial, other._experiments.get(study), study)  # and then it died
    mirror.flush()
    assert [m for m in mirrored(uri) if m[0] == str(attempt.id)] == [("3", "FINISHED", [1.0])]


def test_what_was_copied_and_not_noted_is_copied_again_to_no_effect(store, server, monkeypatch):
    uri = server("mlflow.db")
    with monkeypatch.context() as patch:
        patch.setattr(store, "note_mirrored", lambda uri, reached: None)
        Mirror(store, uri).flush()
    assert Mirror(store, uri).flush() == 2
    assert mirrored(uri) == BOTH
    (run,) = MlflowClient(uri).search_runs(["1"], "tags.`dvta.attempt` = '1'")
    assert run.data.params["epochs"] == "2"
    assert run.data.tags["dvta.state"] == "done"


def test_a_login_is_not_kept():
    assert without_login("https://me:secret@host:5000/path/") == "https://host:5000/path"
    assert without_login("sqlite:////home/a/mlflow.db") == "sqlite:////home/a/mlflow.db"


def test_what_was_deleted_in_mlflow_is_restored_under_a_notice_and_other_studies_go_on(store, server, caplog):
    uri = server("a.db")
    assert Mirror(store, uri).flush() == 2
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("s").experiment_id)
    left = store.claim(TRIALS[1], "b", 60, {})
    store.record(left.attempt_id, "b", rows(2), outcome=OUTCOME)
    assert Mirror(store, uri).flush() == 1
    assert "the experiment 's' was deleted there and is restored" in caplog.text
    assert [losses for _, _, losses in mirrored(uri)] == [[1.0, 0.5], [1.0, 0.5]]


def test_a_study_that_cannot_be_mirrored_is_named_and_the_others_are(store, server, monkeypatch):
    uri = server("a.db")
    other = Trial("dvta", 1, "ntu60", "55/5", "v", "t", 7, "real", "d", {}, {"epochs": 2})
    store.save_study("z", "", [Slot("grid", "r", "c", other)])
    claim = store.claim(other, "a", 60, {})
    store.record(claim.attempt_id, "a", rows(1, 2), outcome=OUTCOME)
    mirror = Mirror(store, uri)
    get = Experiments.get

    def refuse(experiments, name, began):
        if name == "s":
            raise RuntimeError("no such thing")
        return get(experiments, name, began)

    monkeypatch.setattr(Experiments, "get", refuse)
    with pytest.raises(MirrorError, match="cannot be written: study s: no such thing"):
        mirror.flush()
    client = MlflowClient(uri)
    assert len(client.search_runs([client.get_experiment_by_name("z").experiment_id])) == 2


def test_mlflow_shows_a_study_as_its_users_expect(store, server, tmp_path):
    uri = server("a.db")
    store.save_study("other", "", [Slot("table5", "0.01", "NTU-60 55/5", TRIALS[0])])
    mirror = Mirror(store, uri)
    mirror.flush()
    study_id, _ = store.find_study("s")
    mirror.describe("s", summarize(store, study_id))
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("other")  # the alphabetically first study that asked
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    (run,) = client.search_runs([experiment.experiment_id], "tags.`dvta.attempt` = '1'")
    assert run.data.tags["dvta.row"] == "0.01"
    assert run.data.tags["dvta.cells"].splitlines() == ["other: table5, 0.01, NTU-60 55/5", "s: grid, r, c"]
    assert run.data.tags["dvta.show"] == f"dvta-orch show {TRIALS[0].key[:10]}"
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("ntu60 55/5", "d")
    described = client.get_experiment_by_name("s")
    (parent,) = client.search_runs([described.experiment_id], "tags.`dvta.study` = 's'")
    assert parent.data.metrics == {"trials_done": 1, "trials_interrupted": 1, "best_cell_accuracy": 50.0}
    assert parent.info.status == "RUNNING"  # something is left to run
    assert "| r" in parent.data.tags["mlflow.note.content"]
    assert described.tags["mlflow.note.content"] == parent.data.tags["mlflow.note.content"]
    assert {f.path for f in client.list_artifacts(parent.info.run_id, "tables")} == {
        "tables/grid.md", "tables/grid.csv", "tables/grid.tex",
    }  # fmt: skip
    assert (tmp_path / "mlflow-artifacts").is_dir()


def test_a_run_lasts_as_long_as_its_training_and_not_as_its_waiting(store, server):
    uri = server("a.db")
    waiting = dataclasses.replace(TRIALS[0], seed=9)
    store.save_study("s", "", [Slot("grid", "r", "c", t) for t in (*TRIALS, waiting)])
    claim = store.claim(waiting, "a", 60, {})
    mirror = Mirror(store, uri)
    assert mirror.flush() == 2  # what waits for a worker is not there yet
    began = store.attempts([waiting.key])[0].started + 0.001
    store.record(claim.attempt_id, "a", rows(1), outcome=OUTCOME, worker={"began": began})
    assert store.attempts([waiting.key])[0].started == began
    assert mirror.flush() == 1
    (run,) = MlflowClient(uri).search_runs(["1"], f"tags.`dvta.attempt` = '{claim.attempt_id}'")
    assert run.info.start_time == int(began * 1000)


def test_kept_weights_are_artifacts_and_versions_of_a_model_on_request(store, server, tmp_path):
    uri = server("a.db")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{TRIALS[0].key}.pt").write_bytes(b"weights")
    mirror = Mirror(store, uri, str(tmp_path / "models"))
    mirror.flush()
    assert mirror.register("dvta-ntu60", TRIALS[0].key) == "1"
    assert mirror.register("dvta-ntu60", TRIALS[0].key) == "2"
    with pytest.raises(MirrorError, match="MLflow has no weights of it; keep them with checkpoint"):
        mirror.register("dvta-ntu60", TRIALS[1].key)
    client = MlflowClient(uri)
    version = client.get_model_version("dvta-ntu60", "2")
    (file,) = client.list_artifacts(version.run_id, "model")
    assert (file.path, file.file_size) == (f"model/{TRIALS[0].key}.pt", 7)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_weights_that_could_not_be_logged_are_said_and_logged_later(
    store, server, tmp_path, monkeypatch, error
):
    uri = server("a.db")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{TRIALS[0].key}.pt").write_bytes(b"weights")
    mirror = Mirror(store, uri, str(tmp_path / "models"))

    def refused(*arguments):
        raise error("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(mirror._connected(), "log_artifact", refused)
        with pytest.raises((MirrorError, KeyboardInterrupt), match="no space left"):
            mirror.flush()
    later = Mirror(store, uri, str(tmp_path / "models"))
    assert later.flush() == 1
    assert mirrored(uri) == BOTH
    assert later.register("dvta-ntu60", TRIALS[0].key) == "1"


def test_a_model_is_of_the_attempt_that_is_done_not_of_one_that_failed_after_it(store, server, tmp_path):
    uri = server("a.db")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{TRIALS[0].key}.pt").write_bytes(b"weights")
    again = store.claim(TRIALS[0], "a", 60, {}, replaces=1)
    store.record(again.attempt_id, "a", rows(1), failure=Failure("error", "no"))
    mirror = Mirror(store, uri, str(tmp_path / "models"))
    mirror.flush()
    assert mirror.register("dvta-ntu60", TRIALS[0].key) == "1"
