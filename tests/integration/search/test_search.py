"""Searches with real Optuna and a real store, trained inline on features written to disk."""

import collections
import time
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from rich.console import Console

from dvta import datasets
from dvta.datasets.stand_in import StandIn
from orchestrator.cli.progress import SweepProgress
from orchestrator.errors import SpecError
from orchestrator.execute import stacked, worker
from orchestrator.execute.inline import InlineExecutor
from orchestrator.execute.protocol import Report
from orchestrator.records import Failure, Wait
from orchestrator.report.table import build_table
from orchestrator.search import study as search
from orchestrator.search.build import SearchBuilder
from orchestrator.search.space import grid_values
from orchestrator.settings import Settings
from orchestrator.spec.load import load_spec
from orchestrator.spec.model import Axis
from orchestrator.store import Store
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.study.plan import plan_study
from orchestrator.study.study import read_study, save_study
from orchestrator.sweep import run_study
from orchestrator.trial import State
from tests.sweeps import settings_of, sweep

SPEC = """
study: found
source: real
defaults: {dataset: cmu, split: split_1, visual: st_gcn, epochs: 1, batch_size: 64}
grid: {aa: [true, false]}
seeds: 2
search:
  sampler: %s
  trials: %d
  objective: %s
  space:
%s
%s
"""
SPACE = """    tau: {type: float, low: 0.05, high: 1.0, log: true}
    lr: {type: float, low: 1e-4, high: 1e-2, log: true}"""


@pytest.fixture
def place(tmp_path):
    made = StandIn(train_per_class=3, test_per_class=4, visual_dim=16)
    dataset = datasets.get("cmu")
    arrays = made.generate(dataset, dataset.split("split_1"), "st_gcn")
    folder = tmp_path / "data/cmu/features/st_gcn/split_1"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return tmp_path


def run(place, name, *, sampler="tpe", trials=5, objective="val_acc", space=SPACE, more="", **flags):
    settings = settings_of(place, name)
    _, code, store = sweep(place, SPEC % (sampler, trials, objective, space, more), settings, **flags)
    storage = optuna.storages.RDBStorage(settings.optuna)
    found = {
        s.study_name: [
            (t.state.name, t.params, t.value)
            for t in optuna.load_study(study_name=s.study_name, storage=storage).trials
        ]
        for s in optuna.get_all_study_summaries(storage)
    }
    return code, store, found


def test_every_cell_is_searched_and_its_best_is_tuned_on_all_seeds(place):
    code, store, found = run(place, "a", more="  enqueue: [{tau: 0.1, lr: 0.001}]\n")
    assert code == 0
    assert sorted(found) == ["found:aa=false", "found:aa=true"]
    for trials in found.values():
        assert [state for state, _, _ in trials] == ["COMPLETE"] * 5
        assert trials[0][1] == {"tau": 0.1, "lr": 0.001}
    study_id, _ = store.find_study("found")
    table = build_table(store.cells(study_id, "grid"), protocol="final", study="found")
    assert table.rows == ("aa=true tuned", "aa=false tuned")
    assert [n.n for n in table.numbers.values()] == [2, 2]
    best = max(found["found:aa=true"], key=lambda t: t[2])
    tuned = [v for v in store.cells(study_id, "grid") if v.row == "aa=true tuned"]
    assert {v.config["tau"] for v in tuned} == {best[1]["tau"]}
    assert {v.config["evaluate_on"] for v in tuned} == {"unseen"}
    assert {v.seed for v in tuned} == {0, 1}


def test_no_test_label_reaches_the_objective(place):
    _, _, clean = run(place, "clean")
    folder = place / "data/cmu/features/st_gcn/split_1"
    rng = np.random.default_rng(1)
    for name in ("ztest", "gtest"):
        array = np.load(folder / f"{name}.npy")
        np.save(folder / f"{name}.npy", rng.normal(size=array.shape).astype(np.float32))
    np.save(folder / "z_label.npy", rng.permutation(np.load(folder / "z_label.npy")))
    _, _, poisoned = run(place, "poisoned")
    assert clean == poisoned
    assert sum(map(len, clean.values())) == 10


def test_a_study_is_continued_to_its_target_and_never_repeated(place):
    _, store, first = run(place, "a", trials=3)
    before = len(store.trials())
    _, store, again = run(place, "a", trials=3)
    assert again == first
    assert len(store.trials()) == before
    _, _, more = run(place, "a", trials=4)
    assert {k: v[:3] for k, v in more.items()} == first
    assert [len(v) for v in more.values()] == [4, 4]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "gp", "cmaes", "grid"])
def test_every_sampler_reaches_its_target(place, sampler):
    code, _, found = run(place, sampler, sampler=sampler, trials=3)
    assert code == 0
    assert [len(v) for v in found.values()] == [3, 3]


@pytest.mark.filterwarnings("error")
def test_a_grid_is_tried_to_its_end_also_in_two_sweeps(place):
    space = "    tau: {type: float, low: 0.1, high: 0.3, step: 0.1}"
    code, store, found = run(place, "a", sampler="grid", trials=30, space=space)
    assert code == 0
    tried = {name: sorted(p["tau"] for _, p, _ in trials) for name, trials in found.items()}
    assert tried == {"found:aa=true": [0.1, 0.2, 0.3], "found:aa=false": [0.1, 0.2, 0.3]}
    assert {v.row for v in store.cells(1, "grid")} == {"aa=true tuned", "aa=false tuned"}
    run(place, "b", sampler="grid", trials=2, space=space)
    _, _, found = run(place, "b", sampler="grid", trials=3, space=space)
    assert {name: sorted(p["tau"] for _, p, _ in trials) for name, trials in found.items()} == tried


def test_a_grid_that_grew_or_moved_is_tried_to_its_end(place):
    def tried(name, trials, low, high):
        space = f"    batch_size: {{type: int, low: {low}, high: {high}}}"
        _, _, found = run(place, name, sampler="grid", trials=trials, space=space, more="  seed: 3\n")
        return [sorted(p["batch_size"] for _, p, _ in each) for each in found.values()]

    assert tried("a", 20, 61, 63) == [[61, 62, 63]] * 2
    assert tried("a", 4, 61, 66) == [[61, 62, 63, 64]] * 2
    # what was tried before and lies outside is none of its points
    assert tried("a", 20, 62, 66) == [[61, 62, 63, 64, 65, 66]] * 2


def test_what_lies_outside_of_a_range_that_shrank_counts_no_more(place):
    def swept(low, high):
        space = f"    tau: {{type: float, low: {low}, high: {high}}}"
        _, store, found = run(place, "a", trials=3, space=space)
        values = {v.config["tau"] for v in store.cells(1, "grid") if v.row == "aa=true tuned"}
        return [tau["tau"] for _, tau, _ in found["found:aa=true"]], values

    tried, best = swept(0.1, 0.9)
    assert len(tried) == 3
    assert best <= set(tried)
    tried, best = swept(0.95, 0.99)
    assert [tau > 0.9 for tau in tried] == [False] * 3 + [True] * 3
    assert best <= set(tried[3:]), "the best of the wider range won"


@pytest.mark.parametrize("log", [True, False])
def test_a_grid_stays_in_its_range(log):
    for low, high in ((1e-5, 0.01), (0.05, 0.7), (0.003, 0.11)):
        values = grid_values(Axis(type="float", low=low, high=high, log=log))
        assert values[0] == low
        assert values[-1] == high
        assert values == sorted(values)
        assert len(values) == 5
    assert grid_values(Axis(type="float", low=0.1, high=0.35, step=0.1)) == [0.1, 0.2, 0.3]
    assert grid_values(Axis(type="int", low=1, high=6, step=2)) == [1, 3, 5]


def test_a_search_on_test_classes_says_so(place):
    _, store, _ = run(place, "a", trials=1, objective="test")
    cells = store.cells(store.find_study("found")[0], "grid")
    assert {v.row for v in cells} == {
        "aa=true tuned on the test classes",
        "aa=false tuned on the test classes",
    }


def test_a_generalised_search_tunes_for_the_generalised_columns(place):
    code, store, _ = run(place, "a", trials=1, more="protocol: gzsl\n")
    assert code == 0
    study_id, _ = store.find_study("found")
    table = build_table(store.cells(study_id, "grid"), protocol="final", study="found")
    assert table.rows == ("aa=true tuned", "aa=false tuned")
    assert table.columns == ("seen", "unseen", "harmonic mean")
    assert [n.n for n in table.numbers.values()] == [2] * 6
    assert {v.config["evaluate_on"] for v in store.cells(study_id, "grid")} == {"gzsl"}
    assert {v.config["evaluate_on"] for v in store.cells(study_id, "search")} == {"validation"}


def test_a_warm_up_that_nobody_set_yields_to_the_searched_epochs(place):
    space = "    epochs: {type: int, low: 1, high: 4}"
    more = "overrides: [{when: {dataset: cmu}, set: {method: smie, epochs: 4}}]\n"
    _, store, found = run(place, "a", sampler="grid", space=space, more=more)
    assert [state for state, _, _ in found["found:aa=true"]] == ["COMPLETE"] * 4
    settings = {(v.config["epochs"], v.config["warmup_epochs"]) for v in store.cells(1, "search")}
    assert settings == {(1, 0), (2, 1), (3, 2), (4, 3)}


def test_a_search_of_tables_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text(SPEC % ("tpe", 3, "val_acc", SPACE, "tables: [1]\n"))
    with pytest.raises(SpecError, match=r"search \(line 7\): a search goes through the cells of a grid"):
        load_spec(tmp_path / "s.yaml")


def test_conditional_options_are_searched_only_where_they_apply(place):
    more = (
        "    loss: {type: categorical, choices: [kld, infonce]}\n"
        "    target: {type: categorical, choices: [hard_normalised, softmax10], when: {loss: kld}}\n"
    )
    _, _, found = run(place, "a", trials=6, more=more, sampler="random")
    params = [p for trials in found.values() for _, p, _ in trials]
    assert {("target" in p) == (p["loss"] == "kld") for p in params} == {True}
    assert {p["loss"] for p in params} == {"kld", "infonce"}


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("tua: {type: float, low: 0, high: 1}", "cannot be searched (did you mean 'tau'?)"),
        ("dataset: {type: categorical, choices: [cmu]}", "cannot be searched"),
        ("gamma: {type: float, low: 1, high: 0.1}", "the first the smaller"),
        ("gamma: {type: float, low: 0, high: 0.1, log: true}", "log needs low above 0"),
        ("loss: {type: categorical}", "a categorical needs choices"),
        ("target: {type: categorical, choices: [softmax11]}", "did you mean 'softmax10'"),
        ("gamma: {type: float, low: 0, high: 1, when: {loss: kld}}", "is not searched before gamma"),
        ("gamma: {type: float, low: 0, high: 1, logg: true}", "did you mean 'log'"),
        ("gamma: {type: float, low: -1, high: 1}", "gamma.low (line 14): gamma: -1.0 is impossible"),
        ("gamma: {type: categorical, choices: [0.1, -1]}", "gamma.choices[1] (line 14): gamma: -1.0 is"),
        (
            "gamma: {type: float, low: 1, high: .inf}",
            "gamma.high (line 14): inf is not allowed here: input should be a finite number",
        ),
        ("epochs: {type: float, low: 1, high: 4}", "epochs is a whole number; allowed: int, categorical"),
        ("sde: {type: int, low: 0, high: 1}", "sde is true or false; allowed: categorical"),
        ("epochs: {type: int, low: 1.5, high: 3}", "low (line 14): 1.5 is not allowed here: a whole number"),
        ("epochs: {type: int, low: 1, high: 3, step: 0.5}", "step (line 14): 0.5 is not allowed here"),
        ("warmup_epochs: {type: int, low: 0, high: 1}", "warmup_epochs.high (line 14): warmup_epochs: 1 is"),
    ],
)
def test_a_wrong_space_is_refused_with_its_place(tmp_path, axis, message):
    (tmp_path / "s.yaml").write_text(SPEC % ("tpe", 3, "val_acc", SPACE, f"    {axis}\n"))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")
    assert message in str(caught.value)
    assert "search.space." in str(caught.value)


@pytest.mark.parametrize(
    ("enqueued", "message"),
    [
        ("[{tau: 2.0}]", "enqueue[0].tau (line 16): 2.0 is not searched; allowed: 0.05 to 1"),
        ("[{lr: 1e-3}, {gamma: 0.1}]", "enqueue[1].gamma (line 16): is not searched"),
        ("[{epochs: 2}]", "2 is not searched; allowed: 1 to 5 in steps of 2"),
        ("[{loss: mse}]", "loss (line 16): 'mse' is"),
    ],
)
def test_what_is_enqueued_must_be_searched(tmp_path, enqueued, message):
    more = (
        "    epochs: {type: int, low: 1, high: 5, step: 2}\n    loss: {type: categorical, choices: [kld]}\n"
        f"  enqueue: {enqueued}\n"
    )
    (tmp_path / "s.yaml").write_text(SPEC % ("tpe", 3, "val_acc", SPACE, more))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")
    assert message in str(caught.value)


def test_all_mistakes_of_a_search_come_at_once_and_possible_values_pass(tmp_path):
    space = (
        "    epochs: {type: int, low: 1, high: 4}\n    warmup_epochs: {type: int, low: 0, high: 3}\n"
        "    lr: {type: categorical, choices: [1e-5, 1e-3]}\n"
    )
    path = tmp_path / "s.yaml"
    path.write_text(SPEC % ("tpe", 3, "val_acc", space, "  enqueue: [{lr: 1e-5}]\n"))
    found = load_spec(path).search
    assert found.space["lr"].choices == [1e-5, 1e-3]
    assert found.enqueue == [{"lr": 1e-5}]
    path.write_text(
        SPEC % ("tpe", 3, "val_acc", space + "    tau: {type: float, low: -2, high: -1}\n", "nonsense: 1\n")
    )
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    for place in ("tau.low", "tau.high", "nonsense"):
        assert place in str(caught.value)


def test_values_that_are_impossible_together_fail_and_a_corrected_search_goes_on(place, monkeypatch):
    space = (
        "    epochs: {type: int, low: 1, high: 2}\n    warmup_epochs: {type: categorical, choices: [0, 1]}\n"
    )
    code, store, found = run(place, "a", sampler="random", trials=6, space=space)
    assert code == 0
    trials = [t for trials in found.values() for t in trials]
    assert {state for state, _, _ in trials} == {"FAIL", "COMPLETE"}
    assert all((state == "FAIL") == (p["warmup_epochs"] >= p["epochs"]) for state, p, _ in trials)
    assert len({v.row for v in store.cells(1, "grid")}) == 2
    # values of an earlier form of the spec do not stop it, also where a driver was killed over them
    storage = optuna.storages.RDBStorage(f"sqlite:///{place}/a/optuna.db")
    study = optuna.load_study(study_name="found:aa=true", storage=storage)
    study.ask().suggest_float("gamma", -2.0, -1.0)
    monkeypatch.setattr(search, "NAMING_SECONDS", 0.0)
    space = "    gamma: {type: float, low: 0.1, high: 0.5}"
    code, _, found = run(place, "a", trials=8, space=space)
    assert code == 0
    assert [state for state, _, _ in found["found:aa=true"][6:]] == ["FAIL", "COMPLETE"]
    with pytest.raises(SpecError, match=r"search.space.gamma: .* cannot continue the search 'found:aa=true'"):
        run(place, "a", space=space.replace("}", ", log: true}"))


def attempts(store):
    """Return what was evaluated and the end of every attempt, in order."""
    query = sa.select(TrialRow.evaluate_on, AttemptRow.state).join(TrialRow).order_by(AttemptRow.id)
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_failed_candidates_stay_failed_until_retry(place):
    space = "    lr: {type: categorical, choices: [0.001, 1e31]}"
    arguments = {"sampler": "grid", "space": space}
    code, store, found = run(place, "a", **arguments)
    assert code == 1
    states = [sorted(state for state, _, _ in trials) for trials in found.values()]
    assert states == [["COMPLETE", "FAIL"]] * 2
    first = attempts(store)
    assert (len(first), first.count(("validation", "failed"))) == (8, 2)
    code, store, _ = run(place, "a", **arguments)
    assert (code, attempts(store)) == (1, first)
    code, store, found = run(place, "a", **arguments, retry=True)
    assert (code, attempts(store)) == (1, [*first, *[("validation", "failed")] * 2])
    assert [len(trials) for trials in found.values()] == [3, 3]
    code, store, found = run(place, "a", **arguments)
    assert (code, len(attempts(store))) == (1, 10)
    assert [len(trials) for trials in found.values()] == [3, 3]


def test_a_search_without_any_success_fails_every_time(place):
    space = "    lr: {type: categorical, choices: [1e31]}"
    codes = [run(place, "a", trials=1, space=space, retry=retry)[0] for retry in (False, False, True)]
    assert codes == [1, 1, 1]


def test_candidates_and_tuned_trials_are_run_again_on_redo(place):
    _, store, first = run(place, "a", trials=2)
    before = attempts(store)
    assert len(before) == 8
    code, store, found = run(place, "a", trials=2, redo=True)
    assert (code, len(attempts(store))) == (0, 16)
    for name, trials in found.items():
        assert trials[:2] == first[name]
        assert trials[2:] == trials[:2]
    code, store, again = run(place, "a", trials=2)
    assert (code, len(attempts(store)), again) == (0, 16, found)


def test_failed_tuned_trials_stay_failed_until_retry(place, monkeypatch):
    def start(job, load):
        if job.trial["evaluate_on"] == "validation":
            return worker.start(job, load)
        return SimpleNamespace(step=lambda: Report(job.attempt_id, failure=Failure("error", "a failure")))

    monkeypatch.setattr(stacked, "start", start)
    code, store, _ = run(place, "a", trials=1)
    assert (code, len(attempts(store))) == (1, 6)
    code, store, _ = run(place, "a", trials=1)
    assert (code, len(attempts(store))) == (1, 6)
    monkeypatch.undo()
    code, store, _ = run(place, "a", trials=1, retry=True)
    assert code == 0
    assert attempts(store)[6:] == [("unseen", "done")] * 4
    assert run(place, "a", trials=1)[0] == 0


def test_cells_with_the_same_candidate_train_it_once_and_are_all_told(place):
    more = "overrides: [{when: {dataset: cmu}, set: {method: smie}}]\n"
    code, store, found = run(
        place, "a", sampler="grid", space="    batch_size: {type: int, low: 31, high: 33}", more=more
    )
    assert (code, len(attempts(store))) == (0, 5)
    assert [[state for state, _, _ in trials] for trials in found.values()] == [["COMPLETE"] * 3] * 2


def test_candidates_of_a_driver_that_dies_are_taken_over_while_waiting(place, monkeypatch):
    monkeypatch.setattr(search, "RESUME_SECONDS", 0.0)
    (place / "spec.yaml").write_text(SPEC % ("random", 1, "val_acc", SPACE, ""))
    settings = Settings(place / "data", str(place), f"sqlite:///{place}/dvta.db", "")
    study = read_study(place / "spec.yaml", settings)
    store = Store.open(settings.store)
    study_id = save_study(study, store)

    def driver():
        return SearchBuilder(study, store, study_id).build(settings, frozenset())

    first = driver()
    claimed, handed = first.next(), first.next()
    attempt = store.claim(claimed, "elsewhere", 60.0, {}).attempt_id
    second = driver()
    # asked for by the first, which has not claimed it
    assert second.next().key == handed.key
    store.claim(handed, "here", 60.0, {})
    assert isinstance(second.next(), Wait)
    store.renew("elsewhere", [attempt], -60.0)
    second.next()  # notices
    assert second.next().key == claimed.key


def test_a_candidate_without_values_is_named_by_another_driver_only_later(place, monkeypatch):
    _, _, found = run(place, "a", trials=1)
    storage = optuna.storages.RDBStorage(f"sqlite:///{place}/a/optuna.db")
    study = optuna.load_study(study_name="found:aa=true", storage=storage)
    study.ask().suggest_float("tau", 0.05, 1.0, log=True)
    monkeypatch.setattr(search, "RESUME_SECONDS", 0.0)
    monkeypatch.setattr(search, "NAMING_SECONDS", 1.0)
    began = time.monotonic()
    code, _, found = run(place, "a", trials=2)
    assert time.monotonic() - began > 1.0
    assert code == 0
    assert [(state, sorted(p)) for state, p, _ in found["found:aa=true"]] == [("COMPLETE", ["lr", "tau"])] * 2


def test_on_postgresql_the_searches_have_a_schema_of_their_own(place, postgres):
    url = postgres()
    settings = Settings(place / "data", str(place / "runs"), url, f"sqlite:///{place}/mlflow.db")
    (place / "spec.yaml").write_text(SPEC % ("tpe", 2, "val_acc", SPACE, ""))
    study = read_study(place / "spec.yaml", settings)
    store = Store.open(url)
    plan = plan_study(study, store)
    assert (
        run_study(
            study,
            plan,
            store,
            settings,
            InlineExecutor(0.01),
            SweepProgress(Console(quiet=True)),
            mirror=False,
        )
        == 0
    )
    inspector = sa.inspect(store.engine)
    assert "trials" in inspector.get_table_names(schema="optuna")
    assert "trial" in inspector.get_table_names()
    assert "trials" not in inspector.get_table_names()


def test_a_search_is_repeated_with_seeds_of_its_own_and_the_spread_is_over_repeats(place):
    once = {}
    _, store, first = run(place, "a", trials=2)
    for name in first:
        once[name] = [params for _, params, _ in first[name]]
    keys = {t.key for t in store.trials()}
    code, store, found = run(place, "a", trials=2, more="  repeats: 3\n")
    assert code == 0
    names = [
        f"found:aa={aa}{repeat}" for aa in ("true", "false") for repeat in ("", " (repeat 2)", " (repeat 3)")
    ]
    assert sorted(found) == sorted(names)
    # the first repeat is the search that was there before
    assert {name: [params for _, params, _ in found[name]] for name in first} == once
    assert keys < {t.key for t in store.trials()}
    tried = [tuple(str(params) for _, params, _ in found[name]) for name in names[:3]]
    assert len(set(tried)) == 3
    assert {v.seed for v in store.trials() if v.config["evaluate_on"] == "validation"} == {0, 1, 2}
    table = build_table(store.cells(1, "grid"), protocol="final", study="found")
    assert table.rows == ("aa=true tuned", "aa=false tuned")
    for (row, _), number in table.numbers.items():
        assert (number.n, number.expected) == (3, 3)
        cells = [v for v in store.cells(1, "grid") if v.row.startswith(row)]
        assert len(cells) == 6
        means = [
            np.mean([100 * v.final for v in cells if v.row.endswith(f"(repeat {r})")]) for r in (1, 2, 3)
        ]
        assert number.mean == pytest.approx(np.mean(means))
        assert number.std == pytest.approx(np.std(means, ddof=1))
    _, _, again = run(place, "a", trials=2, more="  repeats: 3\n")
    assert again == found


def test_a_candidate_that_was_pruned_is_trained_where_its_number_is_wanted(place, monkeypatch):
    class AllButTheFirst(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number > 0

    monkeypatch.setattr(search, "make_pruner", lambda name: AllButTheFirst())
    defaults = "source: real\nseeds: 2\ndefaults: {dataset: cmu, split: split_1, visual: st_gcn, epochs: 3, aa: true}\n"
    defaults += "checkpoint: {every_seconds: 0}\n"
    # its two repeats begin with another value each, and so the winner of one was pruned in the other
    searched = (
        "study: found\ngrid: {sde: [true]}\nsearch: {trials: 2, repeats: 2, objective: test, pruner: median, "
        "sampler: grid, space: {lr: {type: categorical, choices: [0.001, 0.002]}}}\n"
    )
    for _ in range(2):  # once for all
        _, code, store = sweep(place, defaults + searched, settings_of(place, "a"))
        assert code == 0
        ends = {(v.state, v.config["lr"], v.seed) for v in store.cells(1, "grid")}
        assert ends == {(State.DONE, lr, seed) for lr in (0.001, 0.002) for seed in (0, 1)}
        attempts = store.attempts([v.key for v in store.trials()])
        assert collections.Counter(a.state for a in attempts) == {"done": 4, "pruned": 2}
        assert list(place.glob("**/epoch-*.pt")) == []
