"""What of the executor on Ray can be said without a cluster."""

import socket
from types import SimpleNamespace

import pytest

from dvta.errors import DataError
from orchestrator.execute import ray_cluster, ray_tune
from orchestrator.execute.cluster import resolve_address, unreachable_reason
from orchestrator.execute.pieces import Pieces
from orchestrator.execute.protocol import Job, Report
from orchestrator.records import Wait
from orchestrator.trial import Kind
from tests.commands import run


class Handed:
    """Hands out pieces of work, given as the digests of their trials' features, which are all damaged.

    Attempts are numbered as they are claimed; what others hold cannot be.
    """

    stopping = False

    def __init__(self, *pieces, others=()):
        self.pieces, self.others = list(pieces), others
        self.claimed, self.ended = [], []

    def next_trials(self, workers, device):
        assert (workers, device) == (2, "cpu")
        return self.pieces.pop(0) if self.pieces else None

    def claim(self, trial):
        if trial in self.others:
            return None
        self.claimed.append(trial)
        return Job(len(self.claimed), {}, trial, "c")

    def features(self, digest):
        raise DataError(f"{digest}: not finite")

    def on_report(self, report):
        self.ended.append((report.attempt_id, report.failure and report.failure.message))
        return True

    def on_worker_lost(self, attempt_id, error, final):
        self.ended.append((attempt_id, error, final))


class Actor:
    """Keeps what it is called with, as a Ray actor would, and is its own Tune trial."""

    def __init__(self, trial_id):
        self.trial_id, self.taken, self.given, self.dropped = trial_id, [], [], []
        self.take = SimpleNamespace(
            remote=lambda jobs, refs: self.given.append(refs) or self.taken.append(jobs)
        )
        self.drop = SimpleNamespace(remote=self.dropped.append)
        self.temporary_state = SimpleNamespace(ray_actor=self)

    def get_error(self):
        return "SIGSEGV"


def executor_on(jobs):
    pieces = Pieces(jobs)
    feed = ray_tune.Feed(jobs, pieces, 2, "cpu")
    workers = ray_tune.Workers(jobs, pieces, feed)
    return feed, workers, ray_tune.Reports(jobs, pieces, feed, workers)


def started(workers, trial_id):
    actor = Actor(trial_id)
    workers.on_trial_start(0, [], actor)
    return actor


def taken(actor):
    return [job.attempt_id for jobs in actor.taken for job in jobs]


def test_a_trial_is_claimed_when_a_worker_begins_it():
    jobs = Handed(("",), Wait(), ("",), ("theirs",), others={"theirs"})
    feed, workers, reports = executor_on(jobs)
    assert feed.suggest("a") == {}
    assert feed.suggest("b") is None
    assert feed.suggest("b") == feed.suggest("c") == {}
    assert feed.suggest("d") == ray_tune.tune.search.Searcher.FINISHED
    assert jobs.claimed == []
    assert taken(started(workers, "a")) == [1]
    assert taken(started(workers, "c")) == []
    assert reports("c", {"reports": []})
    assert jobs.claimed == [""]
    jobs.stopping = True
    assert started(workers, "b").taken == []
    assert jobs.claimed == [""]
    assert feed.error is None


class TuneTrial:
    PENDING, status = "PENDING", "PENDING"

    def is_finished(self):
        return self.status in ("TERMINATED", "ERROR")


def test_trials_start_in_their_order_and_those_that_ended_are_forgotten():
    order, trials = ray_tune.InOrder(), [TuneTrial() for _ in range(4)]
    noted = {name: set() for name in order.NOTED}
    controller = SimpleNamespace(get_trials=lambda known=[*trials]: known, **noted)
    for trial in trials:
        order.on_trial_add(None, trial)
    assert order.choose_trial_to_run(None) is trials[0]
    trials[0].status = "RUNNING"
    assert order.choose_trial_to_run(None) is trials[1]
    trials[1].status = "TERMINATED"
    controller._stopped_trials.add(trials[1])
    controller._trials_to_cache.update(trials)
    assert order.choose_trial_to_run(controller) is trials[2]
    assert controller.get_trials() == [trials[0], *trials[2:]]
    assert noted == {
        "_stopped_trials": set(),
        "_failed_trials": set(),
        "_trials_to_cache": {*trials} - {trials[1]},
    }
    trials[2].status = trials[3].status = "RUNNING"
    assert order.choose_trial_to_run(None) is None
    trials[0].status = "PENDING"  # its actor died
    assert order.choose_trial_to_run(None) is trials[0]
    assert order._open == controller.get_trials()


def test_damaged_features_fail_their_trial_and_nothing_else():
    jobs = Handed(("damaged", ""))
    feed, workers, _ = executor_on(jobs)
    feed.suggest("a")
    assert taken(started(workers, "a")) == [2]
    assert jobs.ended == [(1, "DataError: damaged: not finite")]
    assert feed.error is None


def test_features_are_loaded_while_their_trials_wait(monkeypatch):
    def trial(digest, kind=Kind.ALIGNMENT):
        return SimpleNamespace(data_digest=digest, kind=kind)

    read = []

    def features(digest):
        read.append(digest)
        if digest == "damaged":
            raise DataError("not finite")
        return f"features {digest}"

    jobs = Handed((trial("one"), trial("damaged")), (trial("one"), trial("none", Kind.PROFILE), trial("two")))
    jobs.features = features
    jobs.claim = lambda trial: Job(2 if trial.data_digest == "damaged" else 1, {}, trial.data_digest, "c")
    feed, workers, _ = executor_on(jobs)
    monkeypatch.setattr(ray_tune.ray, "put", lambda found: found)
    feed.suggest("a")
    feed.suggest("b")
    for _ in range(2):
        workers.on_step_end(0, [])
    assert read == ["one", "damaged", "two"]
    assert workers._published == {"one": ["features one"], "two": ["features two"]}
    assert jobs.claimed == jobs.ended == []
    # what could not be read is read again when its trial begins, and fails that one
    actor = started(workers, "a")
    assert taken(actor) == [1]
    assert actor.given == [{"one": ["features one"]}]
    assert read == ["one", "damaged", "two", "damaged"]
    assert jobs.ended == [(2, "DataError: not finite")]


def test_the_jobs_of_a_dead_worker_go_on_and_only_the_first_on_the_next_one():
    jobs = Handed(("",) * 3)
    feed, workers, reports = executor_on(jobs)
    feed.suggest("a")
    actor = started(workers, "a")
    assert taken(actor) == [1, 2, 3]
    workers.on_trial_recover(0, [], actor)
    assert jobs.ended == [(2, "SIGSEGV", True), (3, "SIGSEGV", True), (1, "SIGSEGV", False)]
    actor = started(workers, "a")
    assert taken(actor) == [1]
    assert reports("a", {"reports": [Report(1)]})
    assert actor.dropped == [1]


def test_a_worker_that_dies_before_it_begins_loses_no_trial():
    jobs = Handed(("",), ("",))
    feed, workers, reports = executor_on(jobs)
    for name in ("a", "b"):
        feed.suggest(name)
    workers.on_trial_error(0, [], Actor("a"))
    assert jobs.ended == [(1, "SIGSEGV", True)]
    assert taken(started(workers, "b")) == [2]
    assert reports("b", {"reports": []})
    assert jobs.ended[1:] == [(2, "a worker did not get its job", True)]


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "127.0.0.1:99999", "here"]
)
def test_an_address_where_nothing_answers_is_refused_and_nothing_written(
    tmp_path, monkeypatch, capsys, address
):
    for variable in ("DVTA_DATA", "DVTA_RUNS", "DVTA_STORE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(
        "study: s\ndefaults: {dataset: pku, split: smie_7}\ngrid: {gamma: [0.1]}\n"
    )
    assert run("sweep", "s.yaml", "--address", address) == 2
    assert f"--address {address}: no Ray cluster answers there" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_auto_is_the_address_of_the_environment(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert (resolve_address("auto"), resolve_address("local")) == ("127.0.0.1:1", "local")
    with pytest.raises(ray_cluster.ClusterError, match="--address auto: no Ray cluster answers"):
        ray_cluster.connect("auto")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert unreachable_reason(f"127.0.0.1:{server.getsockname()[1]}") is None
