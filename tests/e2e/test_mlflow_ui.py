"""MLflow's UI in a real browser: a study, its runs, a chart, and the way from a number to its run and back."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from orchestrator.mirror import Mirror
from orchestrator.report.page import study_page
from orchestrator.report.page.data import collect
from orchestrator.report.summary import summarize
from tests.processes import start, wait_for
from tests.study_store import make_store

pytestmark = pytest.mark.slow
PATIENCE = 60_000  # milliseconds


@pytest.fixture
def address(place):
    """Serve the runs of a made study; yield the address."""
    Path("runs").mkdir()
    store = make_store(place / "runs")
    mirror = Mirror(store, f"sqlite:///{place}/runs/mlflow.db")
    mirror.flush()
    mirror.describe("made", summarize(store, store.find_study("made")[0]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start("ui", "--port", str(port))
    here = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: urllib.request.urlopen(f"{here}/health", timeout=5).status == 200)
        Path("page.html").write_text(study_page(collect(store, None, here), [], protocol="final"))
        yield here
        beside = [process.cmdline() for process in psutil.Process(server.pid).children(recursive=True)]
        assert len(beside) == 1, beside
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate()


def test_a_number_leads_to_its_run_and_the_run_back_to_the_number(address, browser, place):
    page = browser.new_context(viewport={"width": 1500, "height": 900}).new_page()
    page.goto((place / "page.html").as_uri())
    page.locator("#grid tbody tr").nth(1).locator("button.cell").first.click()
    link = page.locator("#details a").first
    run = link.inner_text()
    page.goto(str(link.get_attribute("href")))
    page.get_by_text(run).first.wait_for(timeout=PATIENCE)
    shown = page.locator("body").inner_text()
    for part in (
        "dvta[dataset=cmu,split=split_1,seed=0,gamma=0.02]",
        "gamma=0.02",
        "dvta-orch show",
        "cmu split_1",
    ):
        assert part in shown

    experiment = MlflowClient(f"sqlite:///{place}/runs/mlflow.db").get_experiment_by_name("made")
    runs = f"{address}/#/experiments/{experiment.experiment_id}/runs"
    page.goto(f"{runs}?workflowType=machine_learning")
    page.get_by_text("25").first.wait_for(timeout=PATIENCE)  # a parent and 24 attempts match
    assert "24 trials: 24 done" in page.locator("body").inner_text()
    page.goto(f"{runs}/{run}/model-metrics?workflowType=machine_learning")
    page.locator("svg .scatterlayer, svg.main-svg").first.wait_for(timeout=PATIENCE)
    page.context.close()
