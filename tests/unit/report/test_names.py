"""One name a trial: the same wherever it is printed, read back, and that of no other trial."""

import functools
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from rich.console import Console
from typer.testing import CliRunner

from dvta.data_ref import locate
from orchestrator.cli.main import app
from orchestrator.cli.progress import SweepProgress
from orchestrator.errors import StoreError
from orchestrator.mirror import Mirror
from orchestrator.names import parse_name, printed, text_of
from orchestrator.records import Claim, EpochRow, Outcome, Slot
from orchestrator.spec.load import load_spec
from orchestrator.store import Store
from orchestrator.store.find import find_trial
from orchestrator.study.expand import expand
from orchestrator.study.resolve import Resolver
from orchestrator.sweep import _names
from orchestrator.trial import State, Trial
from tests.conftest import ROOT

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.sampled_from('ab1 ,=[]"\\none.\n:/\u00e9'), max_size=8) | st.sampled_from(
    ["none", "true", "1", "1.0", "1e5", "nan", "[/hand]", "a,b=c", '"', "x]"]
)
values = scalars | words


def trial(seed=0, digest="d", method="dvta", source="real", evaluate_on="unseen", **options):
    return Trial(
        method, 1, "ntu60", "55/5", "shift_gcn", "sbert", seed, source, digest, options, {"epochs": 2},
        evaluate_on=evaluate_on,
    )  # fmt: skip


def stored(path, trials):
    store = Store.open(f"sqlite:///{path}/dvta.db")
    store.save_study("s", "", [Slot("grid", "r", "c", t) for t in trials])
    return store


@given(values, values)
def test_a_value_is_printed_so_that_it_is_read_back_and_no_other_is_printed_alike(one, other):
    method, parts = parse_name(f"m[a={printed(one)},b={printed(other)}]")
    assert (method, list(parts)) == ("m", ["a", "b"])
    assert (parts["a"], parts["b"]) == (printed(one), printed(other))
    if isinstance(one, str):
        assert text_of(printed(one)) == one
    assert (printed(one) == printed(other)) == (repr(one) == repr(other))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(
            trial,
            seed=st.integers(0, 1),
            digest=st.sampled_from("de"),
            method=st.sampled_from(["dvta", "my.own:Method", "[/x],y"]),
            source=st.sampled_from(["real", "simulated"]),
            evaluate_on=st.sampled_from(["unseen", "validation"]),
            gamma=values,
            loss=values,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_name_finds_its_trial_whatever_values_it_holds(tmp_path_factory, trials):
    store = stored(tmp_path_factory.mktemp("names"), trials)
    keys = {t.key for t in trials}
    called = store.names(keys)
    assert set(called) == keys
    assert len(set(called.values())) == len(keys)
    for key, name in called.items():
        assert find_trial(store, name).key == key


def test_every_name_of_the_shipped_specs_finds_its_trial(tmp_path):
    files = sorted((ROOT / "experiments").glob("*.yaml"))
    assert len(files) >= 22
    store = Store.open(f"sqlite:///{tmp_path}/dvta.db")
    trials = {}
    for path in files:
        spec = load_spec(path).model_copy(update={"source": "simulated"})
        slots = expand(spec, Resolver(functools.partial(locate, tmp_path), "simulated"))
        store.save_study(spec.study + path.stem, "", slots)
        trials |= {s.trial.key: s.trial for s in slots if s.trial}
    called = store.names(trials)
    assert len(called) == len(set(called.values())) == len(trials) > 500
    assert all("source=" in name for name in called.values())
    for key in list(called)[:: len(called) // 20]:
        assert find_trial(store, called[key]).key == key
        assert find_trial(store, key[:12]).key == key


def test_a_name_says_how_a_trial_differs_and_never_changes(tmp_path):
    first, other = trial(gamma=0.01), trial(gamma=0.5)
    store = stored(tmp_path, [first, other])
    before = store.names([first.key, other.key])
    assert before == {
        first.key: "dvta[dataset=ntu60,split=55/5,seed=0]",
        other.key: "dvta[dataset=ntu60,split=55/5,seed=0,gamma=0.5]",
    }
    later = trial(gamma=0.5, digest="e")
    candidate = trial(gamma=0.5, evaluate_on="validation", source="simulated")
    store.save_study(
        "t", "", [Slot("grid", "r", "c", t) for t in (trial(1, gamma=0.5, tau=1), later, candidate)]
    )
    assert store.names([first.key, other.key]) == before
    assert store.names([later.key, candidate.key]) == {
        later.key: f"dvta[dataset=ntu60,split=55/5,seed=0,gamma=0.5,key={later.key[:10]}]",
        candidate.key: "dvta[dataset=ntu60,split=55/5,seed=0,source=simulated,evaluate_on=validation]",
    }


def test_a_part_of_a_name_finds_the_only_trial_that_has_it_and_several_are_listed(tmp_path):
    trials = [trial(gamma=0.01), trial(gamma=0.5), trial(1, gamma=0.5)]
    store = stored(tmp_path, trials)
    assert find_trial(store, "dvta[seed=1]").key == trials[2].key
    assert find_trial(store, "dvta[ gamma=0.5, seed=0 ]").key == trials[1].key
    assert find_trial(store, "dvta[gamma=0.010]").key == trials[0].key
    with pytest.raises(StoreError, match="2 match; see dvta-orch trials") as error:
        find_trial(store, "dvta[gamma=0.5]")
    assert str(error.value).splitlines()[1:] == [f"  {store.names([t.key])[t.key]}" for t in trials[1:]]
    for nothing in ("dvta[gamma=0.7]", "dvta[gamma", "%", "dvta[gamma=0.5,]x"):
        with pytest.raises(StoreError, match="none is stored of that key or name"):
            find_trial(store, nothing)


def test_every_command_calls_a_trial_by_the_same_name(tmp_path, monkeypatch):
    trials = [trial(gamma=g, evaluate_on=e) for g in (0.01, 0.5) for e in ("unseen", "validation")]
    store = stored(tmp_path, trials)
    for each in trials[:3]:
        claim = store.claim(each, "me", 60, {})
        store.record(claim.attempt_id, "me", [], outcome=Outcome({"final_accuracy": 0.5}, {}, 1.0))
    running = store.claim(trials[3], "host/me", 60, {})
    store.record(running.attempt_id, "host/me", [EpochRow(1, 1.0, {"loss": 1.0})])
    called = store.names([t.key for t in trials])
    file = io.StringIO()
    display = SweepProgress(Console(file=file))
    display.begin(4, _names(store), simulated=False)
    for each in trials:
        display.started(each, Claim(1, 1, False, 0, 0))
        display.ended(each, State.FAILED, "x")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    Mirror(store, uri).flush()
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
    mirrored = {r.data.tags["dvta.trial"]: r.info.run_name for r in runs if "dvta.trial" in r.data.tags}
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/dvta.db")
    listed = json.loads(CliRunner().invoke(app, ["trials", "--json"]).output)["trials"]
    assert {each["key"]: each["trial"] for each in listed} == called
    for each in trials:
        name = called[each.key]
        assert f"failed {name}: x\n" in file.getvalue()
        assert mirrored[each.key] == name
        shown = CliRunner().invoke(app, ["show", name]).output
        assert f"{name}\n" in shown
        assert each.key in shown
    assert f" {called[trials[3].key]} epoch" in CliRunner().invoke(app, ["status"]).output


def test_validation_accuracies_do_not_stand_under_final(tmp_path, monkeypatch):
    kept, candidate = trial(), trial(evaluate_on="validation")
    store = stored(tmp_path, [kept, candidate])
    for each, accuracy in ((kept, 0.25), (candidate, 0.75)):
        claim = store.claim(each, "me", 60, {})
        results = {"final_accuracy": accuracy, "best_accuracy": accuracy}
        store.record(claim.attempt_id, "me", [], outcome=Outcome(results, {}, 1.0))
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/dvta.db")
    output = CliRunner().invoke(app, ["trials"]).output
    lines = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
        for line in output.splitlines()
    ]
    assert lines[1] == ["key", "evaluate_on", "state", "final", "best", "validation"]
    assert [line[3:] for line in lines if len(line) == 6][1:] == [["", "", "75.00"], ["25.00", "25.00", ""]]
    assert "final and best: accuracy in % on unseen test classes" in output
    assert "validation: accuracy in % on validation classes held out of the seen ones" in output
    shown = CliRunner().invoke(app, ["show", candidate.key[:12]]).output
    assert "measured on            validation classes" in shown
