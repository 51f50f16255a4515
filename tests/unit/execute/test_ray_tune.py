"""What of the executor on Ray can be said without a cluster."""

import socket

import pytest

from dvta.errors import DataError
from orchestrator.execute import ray_cluster, ray_tune
from orchestrator.execute.cluster import resolve_address, unreachable_reason
from orchestrator.execute.protocol import Job, Wait
from tests.commands import run


def job(attempt_id, features=""):
    return Job(attempt_id, {}, features, "c")


class Listed:
    """Jobs of a list whose features are all damaged; keeps what is reported."""

    stopping = False

    def __init__(self, *jobs):
        self.jobs, self.failures = list(jobs), {}

    def next_job(self):
        return self.jobs.pop(0) if self.jobs else None

    def features(self, digest):
        raise DataError(f"{digest}: not finite")

    def on_report(self, report):
        self.failures[report.attempt_id] = (report.failure.kind, report.failure.message)
        return True


def test_damaged_features_fail_their_trial_and_the_next_one_runs():
    jobs = Listed(job(1, "damaged"), job(2), Wait(), job(3, "damaged"))
    feed = ray_tune._Feed(jobs, None, "board")
    assert feed.suggest("a")["box"].job.attempt_id == 2
    assert feed.suggest("b") is None
    assert feed.suggest("b") == ray_tune.Searcher.FINISHED
    assert feed.error is None
    assert jobs.failures == dict.fromkeys((1, 3), ("error", "DataError: damaged: not finite"))


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
