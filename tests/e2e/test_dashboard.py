"""Optuna's dashboard of the searches, by one command."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request

import pytest

from tests.processes import run, start, wait_for, write_spec

SEARCH = "search: {trials: 2, space: {lr: {type: float, low: 0.001, high: 0.1}}}\n"


@pytest.mark.slow
def test_the_dashboard_shows_the_searches_with_what_they_were_told_by(place):
    assert "--search: no search has run yet" in run("ui", "--search", code=2)
    run("sweep", str(write_spec(epochs=1, extra=SEARCH)), "--executor", "inline")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start("ui", "--search", "--port", str(port))

    def asked(path: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=5) as answer:
            return json.load(answer)

    studies = wait_for(lambda: asked("studies")["study_summaries"])
    assert len(studies) == 4
    assert all(study["study_name"].startswith("e2e:") for study in studies)
    assert "validation accuracy" in json.dumps(asked(f"studies/{studies[0]['study_id']}"))
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate()
