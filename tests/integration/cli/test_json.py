"""What commands print with --json: one value, as its documented schema says, and nothing beside it."""

import json
import math

import jsonschema
import pytest

from dvta.predict import Ranked
from orchestrator.cli.answers import ANSWERS, schema
from orchestrator.cli.output import plain
from orchestrator.execute import trained
from orchestrator.store.find import list_trials
from tests.factories import make_skeletons

SPEC = """
study: planned
defaults: {dataset: pku, split: [smie_7, "55/5"], visual: st_gcn}
grid: {gamma: [0.01, 0.5]}
"""
SEARCH = "search: {trials: 6, space: {tau: {type: float, low: 0.05, high: 1.0}}}\n"
ARGUMENTS = {
    "data check": (),
    "data list": (),
    "db check": (),
    "db export": ("csv",),
    "doctor": (),
    "plan": ("spec.yaml",),
    "predict": ("walk.bvh", "walk", "run", "--trial"),
    "query": ("SELECT * FROM results",),
    "report": ("--compare", "gamma=0.01"),
    "show": (),
    "status": (),
    "trials": ("seed<2",),
}
CODES = {"doctor": 1}


class Trained:
    """Ranks phrases without a model."""

    def __init__(self, trial):
        self.trial = trial

    weights = "weights of a file"

    def rank(self, path, names, *_):
        return [Ranked(name, 1.5, 1 / len(names)) for name in names], 3


@pytest.fixture
def known(store, place, monkeypatch):
    """Return the key of a trial; all that the commands read is there."""
    (place / "spec.yaml").write_text(SPEC.replace('[smie_7, "55/5"]', "smie_7"))
    (place / "walk.bvh").touch()
    (place / "data").mkdir()
    make_skeletons(place / "data", per_class=1)
    monkeypatch.setattr(trained, "load_trained", lambda _, __, trial, ___: Trained(trial))
    store.claim(store.trial(list_trials(store)[1][-1].key), "host/x", 60, {})
    return list_trials(store)[1][0].key


def test_every_command_prints_what_its_schema_says(known, invoke):
    assert set(ARGUMENTS) == set(ANSWERS)
    for name, arguments in ARGUMENTS.items():
        key = [known] if name in ("show", "predict") else []
        printed = invoke(*name.split(), *arguments, *key, "--json", code=CODES.get(name, 0))
        answer = json.loads(printed)
        assert answer, name
        jsonschema.validate(answer, schema(name), jsonschema.Draft202012Validator)
    assert len(ARGUMENTS) == 12


def test_a_schema_refuses_a_field_too_many_and_one_too_few(known, invoke):
    count = 0
    for name in ("status", "trials", "show", "report", "plan"):
        arguments = [known] if name == "show" else ARGUMENTS[name]
        answer = json.loads(invoke(name, *arguments, "--json"))
        for wrong in ({**answer, "more": 1}, dict(list(answer.items())[1:])):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, schema(name))
            count += 1
    assert count == 10


def test_the_plan_of_a_search_has_its_candidates(place, invoke):
    (place / "spec.yaml").write_text(SPEC.replace('[smie_7, "55/5"]', "smie_7") + SEARCH)
    answer = json.loads(invoke("plan", "spec.yaml", "--json"))
    jsonschema.validate(answer, schema("plan"))
    assert (answer["search"]["candidates"], answer["cells"], answer["simulated"]) == (6, 2, True)
    assert answer == json.loads(invoke("sweep", "spec.yaml", "--dry-run", "--json"))


def test_a_trial_is_told_in_json_as_it_is_stored(store, invoke):
    (failed,) = json.loads(invoke("trials", "--state", "failed", "--json"))["trials"]
    answer = json.loads(invoke("show", failed["key"], "--json"))
    assert answer["trial"] == failed["trial"]
    assert answer["cells"] == [{"study": "made", "table": "grid", "row": "gamma=0.04", "column": "split_2"}]
    (attempt,) = answer["attempts"]
    assert (attempt["error_kind"], attempt["host"], attempt["log"]) == ("non_finite", "two", None)
    assert "<b>not finite</b>" in attempt["traceback"]
    assert [epoch["epoch"] for epoch in answer["epochs"]] == [1, 2]
    done = json.loads(invoke("trials", "--state", "done", "--limit", "1", "--json"))["trials"][0]
    classes = json.loads(invoke("show", done["key"], "--json"))["classes"]
    assert [c["protocol"] for c in classes] == ["final"] * 5 + ["best"] * 5
    assert all(c["total"] == 10 and c["name"] for c in classes)


def test_json_never_holds_what_json_has_not():
    value = {1: math.nan, "x": [math.inf, -math.inf, 0.5], "y": (None, True, b"z".decode())}
    assert plain(value) == {"1": None, "x": [None, None, 0.5], "y": [None, True, "z"]}


def test_two_formats_at_once_are_refused(store, invoke):
    for command in ("trials", "status", "report"):
        invoke(command, "--json", "--csv", code=2, err="allowed: one of them")
    invoke("query", "SELECT 1", "--json", "--csv", code=2, err="--json, --csv: allowed: one of them")


def test_a_flag_that_does_nothing_alone_is_refused(store, place, invoke):
    (place / "spec.yaml").write_text(SPEC)
    message = "{}: does nothing without {}; allowed: both of them, or neither"
    invoke("sweep", "spec.yaml", "--json", code=2, err=message.format("--json", "--dry-run"))
    key = list_trials(store)[1][0].key
    invoke("show", key, "--attempt", "1", code=2, err=message.format("--attempt", "--log"))


def test_columns_of_one_name_are_refused_as_json_which_would_lose_one(store, invoke):
    twice = "SELECT a.final, b.final FROM results a JOIN results b ON a.key = b.key"
    invoke("query", twice, "--json", code=2, err="two columns are called 'final'; allowed: names that differ")
    named = json.loads(invoke("query", twice.replace("b.final", "b.final AS other"), "--json"))
    assert len(named) == 24
    assert list(named[0]) == ["final", "other"]
    assert invoke("query", twice, "--csv").startswith("final,final\n")
