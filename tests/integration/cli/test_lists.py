"""Lists of trials: the newest first, what fits and no more, and only what varies among them."""

import csv
import io
import itertools
import json
import operator
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SettingsError
from orchestrator.records import Outcome, Slot
from orchestrator.store import Store
from orchestrator.store.filters import Filter, parse_filters
from orchestrator.store.find import list_trials
from orchestrator.trial import State, Trial
from tests.study_store import make_many

COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def trial(method="dvta", seed=0, gamma=None, epochs=10, **more):
    options = {} if gamma is None else {"gamma": gamma}
    return Trial(
        method, 1, "cmu", "split_1", "v", "t", seed, "real", "d", options, {"epochs": epochs}, **more
    )


@pytest.fixture
def filled(either_database):
    """A store with 3 methods x 2 seeds x 4 gammas in study ``one``, of which two are in ``two`` as well."""
    store = Store.open(either_database)
    trials = [
        trial(method, seed, gamma, epochs)
        for method, seed, (gamma, epochs) in itertools.product(
            ("dvta", "smie", "a|b"), (0, 1), ((0.1, 10), (0.5, 15), (1, 20), (None, 10))
        )
    ]
    store.save_study("one", "", [Slot("grid", "r", "c", each) for each in trials])
    store.save_study("two", "", [Slot("grid", "r", "c", each) for each in trials[:2]])
    return store, trials


def listed(store, *texts, **more):
    total, found = list_trials(store, parse_filters(texts), **more)
    assert total == len(found)
    return [(v.config["method"], v.seed, v.config.get("gamma")) for v in found]


def test_filters_choose_as_their_signs_say(filled):
    store, trials = filled
    every = [(t.method, t.seed, t.options.get("gamma")) for t in reversed(trials)]
    cases = {
        (): lambda m, s, g: True,
        ("gamma>0.1",): lambda m, s, g: g is not None and g > 0.1,
        ("gamma>=0.1", "gamma<1"): lambda m, s, g: g is not None and 0.1 <= g < 1,
        ("gamma=0.10",): lambda m, s, g: g == 0.1,
        ("gamma==0.5|1",): lambda m, s, g: g in (0.5, 1),
        ("gamma=0.5", "gamma=none"): lambda m, s, g: g in (0.5, None),
        ("gamma!=0.5|none",): lambda m, s, g: g not in (0.5, None),
        ("method=dvta|smie", "seed=1"): lambda m, s, g: m != "a|b" and s == 1,
        ('method="a|b"', "seed<1"): lambda m, s, g: m == "a|b" and s == 0,
        ("method!=dvta", "seed!=0"): lambda m, s, g: m != "dvta" and s != 0,
        ("state=not run|done",): lambda m, s, g: True,
        ("state!=not run",): lambda m, s, g: False,
        ("epochs<=15", "dataset=cmu", "method>1"): lambda m, s, g: False,
    }
    for texts, fits in cases.items():
        assert listed(store, *texts) == [values for values in every if fits(*values)], texts
    assert len(cases) == 13
    key = trials[5].key
    assert listed(store, f"key={key[:9]}") == [("dvta", 1, 0.5)]
    assert listed(store, study="two") == [("dvta", 0, 0.5), ("dvta", 0, 0.1)]
    assert listed(store, "gamma>0.1", study="two") == [("dvta", 0, 0.5)]


def test_what_ran_last_comes_first_and_a_lease_that_ran_out_is_interrupted(filled):
    store, trials = filled
    for each, lease in ((trials[7], 60), (trials[2], -1), (trials[9], 60)):
        claim = store.claim(each, "me", lease, {})
        if each is trials[7]:
            store.record(claim.attempt_id, "me", [], outcome=Outcome({"final_accuracy": 0.5}, {}, 1.0))
    total, found = list_trials(store, limit=4)
    assert total == 24
    assert [v.key for v in found] == [trials[n].key for n in (9, 2, 7, 23)]
    assert [v.state for v in found] == [State.RUNNING, State.INTERRUPTED, State.DONE, None]
    for state, n in (("running", 9), ("interrupted", 2), ("done", 7)):
        assert [v.key for v in list_trials(store, parse_filters([f"state={state}"]))[1]] == [trials[n].key]
    assert list_trials(store, parse_filters(["gamma>0", "state=not run"]), limit=2)[0] == 16


@given(
    st.sampled_from(sorted(COMPARE)),
    st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    st.none() | st.booleans() | st.text() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
)
def test_a_comparison_is_pythons_and_nothing_but_a_number_fulfils_it(sign, wanted, stored):
    (found,) = parse_filters([f"gamma{sign}{wanted}"])
    number = isinstance(stored, int | float) and not isinstance(stored, bool)
    assert found.holds(stored) == (number and COMPARE[sign](stored, wanted))


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_quoted_values_are_read_back_whatever_they_hold(values):
    text = "|".join(json.dumps(value) for value in values)
    assert parse_filters([f"name={text}"]) == [Filter("name", "=", tuple(values))]


def test_a_filter_of_no_form_is_refused(invoke, store):
    for text in (
        "gamma",
        "=1",
        "",
        "gamma>",
        "gamma<x",
        "gamma>0.1|0.2",
        "gamma>nan",
        "gamma>1_0",
        "gamma=>1",
    ):
        with pytest.raises(SettingsError, match="allowed|not a number"):
            parse_filters([text])
    for text in ('method="smie', 'method="\\x"', 'method="a"b', 'method!=dvta|"\\ud800"'):
        invoke("trials", text, code=2, err="is no text in quotation marks; allowed: one as in JSON")
    invoke("show", '"\\x"[seed=0]', code=2, err='"\\x" is no text in quotation marks')
    invoke("trials", "gamma", code=2, err="in quotation marks, since a shell keeps < > and | for itself")
    invoke("trials", "gama!=1", code=2, err="gama: no trial has it (did you mean 'gamma'?)")
    invoke("trials", "--state", "don", code=2, err="did you mean 'done'")
    invoke("trials", "--study", "mad", code=2, err="studies here: made")
    for limit in ("0", "-1", "1e20", "100000000000000000000", "1000001", "x"):
        invoke("trials", "--limit", limit, code=2, err="allowed: a whole number from 1 to 1000000\n")


def table(printed):
    """Return the rows of a printed table, the heads first."""
    lines = printed.replace("┃", "│").splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_a_list_shows_keys_first_then_what_varies_and_how_many_there_are(invoke, store):
    printed = invoke("trials", "--limit", "5", "--state", "done", "gamma>0.02")
    heads, *rows = table(printed)
    assert heads == ["key", "split", "seed", "gamma", "state", "final", "best"]
    assert len(rows) == 5
    assert printed.endswith("\n5 of 10\n")
    assert max(map(len, printed.splitlines())) <= 80
    heads, *rows = table(invoke("trials", "gamma=0.01", "split=split_1", "seed=0|2"))
    assert heads == ["key", "seed", "state", "final", "best"]
    assert [row[1] for row in rows] == ["2", "0"]
    heads, row = table(invoke("trials", "--state", "failed"))
    assert heads == ["key", "trial", "state", "final", "best"]
    assert (row[1], row[2]) == ("dvta[dataset=cmu,split=split_2,seed=1,gamma=0.04]", "failed")
    assert invoke("trials", "gamma>7", "dataset=cmu") == "no trial fits: gamma>7 dataset=cmu\n"


def test_what_does_not_fit_80_columns_is_named(tmp_path, monkeypatch, invoke):
    store = Store.open(f"sqlite:///{tmp_path}/wide.db")
    trials = [
        trial(seed=seed, gamma=seed / 7, evaluate_on="unseen").to_dict()
        | {"options": {f"option_{n}": f"value {n} {seed}" for n in range(6)}}
        for seed in range(2)
    ]
    store.save_study("wide", "", [Slot("grid", "r", "c", Trial.from_dict(each)) for each in trials])
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/wide.db")
    printed = invoke("trials")
    assert table(printed)[0] == ["key", "seed", "option_0", "option_1", "state", "final", "best"]
    assert "also varies: option_2, option_3, option_4, option_5 (--csv and --json have all)" in printed
    assert max(map(len, printed.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(invoke("trials", "--csv"))))
    assert [row["option_5"] for row in rows] == ["value 5 1", "value 5 0"]
    assert list(rows[0])[:3] == ["key", "trial", "state"]


@pytest.mark.slow
def test_a_hundred_thousand_trials_are_listed_fast(tmp_path):
    store = make_many(tmp_path, 100_000, 1)
    fitting = sum(n // 10 * 0.001 > 5 and n // 5 % 2 == 0 for n in range(1, 100_001))
    sizes = {("state=done",): 100_000, ("gamma>5", "split=split_1"): fitting, ("seed=1",): 20_000}
    for texts, size in sizes.items():
        began = time.process_time()
        total, found = list_trials(store, parse_filters(texts), study="made", limit=50)
        assert (total, len(found)) == (size, 50)
        assert time.process_time() - began < 5
