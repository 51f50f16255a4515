"""What the page of a study holds, and when it is written anew."""

import json
import re
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from orchestrator.cli import page as command
from orchestrator.cli.main import app
from orchestrator.records import EpochRow, Outcome
from orchestrator.report.page import study_page
from orchestrator.report.page.data import collect, thin
from orchestrator.report.page.study import script_json
from orchestrator.report.render import render
from orchestrator.report.table import build_table
from tests.study_store import make_store


def test_curves_are_thinned_evenly_with_both_ends():
    assert thin([1, 2, 3], 5) == [1, 2, 3]
    found = thin(range(1, 1001), 30)
    assert (len(found), found[0], found[-1]) == (30, 1, 1000)
    gaps = {b - a for a, b in pairwise(found)}
    assert gaps <= {34, 35}


def test_data_cannot_end_the_script_they_stand_in():
    nasty = {"label": "</script><script>alert(1)</script>", "note": "<!-- \u2028"}
    encoded = script_json(nasty)
    assert "<" not in encoded
    assert json.loads(encoded) == nasty


def test_the_page_holds_what_the_report_prints(tmp_path):
    store = make_store(tmp_path, unfinished=True, failed=True)
    data = collect(store, "made", "http://127.0.0.1:5000")
    (table,) = data.content["tables"]
    study_id, _ = store.find_study()
    for protocol in ("final", "best", "both"):
        built = build_table(store.cells(study_id), protocol=protocol, study="made")
        assert table["files"][protocol]["csv"] == render(built, "csv")
    assert table["cells"][0][0]["final"][:4] == [pytest.approx(51), pytest.approx(1), 3, 3]
    assert data.content["about"]["counts"] == {"done": 22, "failed": 1, "to run": 1}
    assert (data.finished, data.simulated) == (False, False)
    (failure,) = data.content["failures"]
    assert (failure["kind"], failure["host"]) == ("non_finite", "two")
    assert failure["traceback"].startswith("Traceback")
    html = study_page(data, [], protocol="best")
    assert not re.search(r"(src|href)=[\"']?https?:", html)
    assert "<b>not finite" not in html


def test_watching_writes_until_the_study_has_ended(tmp_path, monkeypatch):
    store = make_store(tmp_path, rows=1, columns=1, seeds=2, epochs=2, unfinished=True)
    study_id, _ = store.find_study()
    left = next(v for v in store.cells(study_id) if v.state is None)
    waited = []

    def finish(seconds):
        waited.append(seconds)
        claim = store.claim(store.trial(left.key), "me", 60, {})
        outcome = Outcome({"final_accuracy": 0.5, "best_accuracy": 0.5, "best_epoch": 1.0}, {}, 1.0)
        store.record(claim.attempt_id, "me", [EpochRow(1, 0.0, {"loss": 1.0})], outcome=outcome)

    monkeypatch.setattr(command.time, "sleep", finish)
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/dvta.db")
    output = tmp_path / "page.html"
    done = CliRunner().invoke(
        app, ["page", "--watch", "--every", "3", "--no-figures", "--output", str(output)]
    )
    assert done.exit_code == 0, done.output
    assert waited == [3.0]
    written = [line.split("trials: ")[1] for line in done.output.splitlines()]
    assert [sorted(line.split(", ")) for line in written] == [["1 done", "1 to run"], ["2 done"]]
    assert '"finished":true' in output.read_text()
