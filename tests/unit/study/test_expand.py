import functools
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dvta.data_ref import locate
from dvta.importers.texts import import_text
from dvta.methods import METHODS
from orchestrator.cli.main import app
from orchestrator.errors import SpecError
from orchestrator.records import TrialStatus
from orchestrator.settings import Settings
from orchestrator.spec.grid import grid_points
from orchestrator.spec.load import load_spec
from orchestrator.study.expand import expand
from orchestrator.study.plan import make_plan
from orchestrator.study.resolve import Resolver
from orchestrator.study.study import profile_study, read_study
from orchestrator.tables import NEWER, TABLES, layout
from orchestrator.trial import State, Trial
from tests.conftest import ROOT

NOWHERE = Path("/nonexistent")
DVTA_ROWS = (
    "study: all\ntables: [1, 2, 3, 4, 5, 6, 7, 8]\nwhere: {method: dvta}\ndefaults: {preset: official}\n"
)


def resolver(root=NOWHERE, source="auto"):
    return Resolver(functools.partial(locate, root), source)


def slots_of(tmp_path, text, root=NOWHERE):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return expand(load_spec(path), resolver(root))


def test_every_printed_number_has_exactly_one_cell():
    printed = json.loads((ROOT / "orchestrator/tables/paper.json").read_text())["tables"]
    counts = {}
    for name in TABLES:
        cells = layout(name).cells()
        assert len({(c.row, c.column) for c in cells}) == len(cells)
        in_paper = [c.paper for c in cells if c.paper is not None]
        assert sorted(in_paper) == sorted(r["value"] for r in printed[name]["rows"])
        if name != "table9":  # its rows are ours, with the paper's numbers among them
            assert in_paper == [r["value"] for r in printed[name]["rows"]]
        counts[name] = len(in_paper)
    assert counts == dict(zip(TABLES, (40, 15, 40, 8, 24, 16, 24, 12, 12), strict=True))
    assert len(layout(9).cells()) == 9 * 7


def test_the_papers_171_cells_are_130_distinct_trials(tmp_path, shared):
    import_text(shared / "data/text", tmp_path, "ntu120", "clip")
    slots = slots_of(tmp_path, DVTA_ROWS, tmp_path)
    plan = make_plan(slots, {})
    assert not plan.missing
    assert (plan.cells, plan.distinct) == (171, 130)


def test_clip_cells_say_what_they_need(tmp_path):
    slots = slots_of(tmp_path, DVTA_ROWS)
    missing = [s for s in slots if s.missing]
    assert len(missing) == 20
    assert all("dvta-orch encode text" in s.missing for s in missing)


def test_an_average_of_which_where_leaves_out_splits_is_missing(tmp_path):
    slots = slots_of(tmp_path, "study: s\ntables: [3]\nwhere: {dataset: ntu60, split: [smie_1]}\nseeds: 2\n")
    averages = [s for s in slots if s.column == "NTU-60 average"]
    assert len(averages) == 5
    assert {s.missing for s in averages} == {
        "an average over splits of which where leaves out smie_2, smie_3"
    }
    assert {s.column for s in slots if s.trial} == {"NTU-60 split 1"}
    assert len([s for s in slots if s.trial]) == 5 * 2
    whole = slots_of(tmp_path, "study: s\ntables: [2]\nwhere: {method: dvta, dataset: pku}\n")
    assert [s.missing for s in whole] == [None] * 3


def test_an_own_method_never_has_a_row_of_the_paper_or_of_another():
    shape = layout(1)
    methods = ["pkg.mine:SMIE", "pkg.mine.Ridge", "other:Ridge", "Bridge", "pkg:Map", "PURLS"]
    rows = dict.fromkeys((c.row, c.configs[0]["method"]) for c in shape.rows_of(methods))
    assert list(rows) == [
        ("pkg.mine:SMIE", "pkg.mine:SMIE"),
        ("pkg.mine.Ridge", "pkg.mine.Ridge"),
        ("other:Ridge", "other:Ridge"),
        ("Bridge", "Bridge"),
        ("Map", "pkg:Map"),
        ("PURLS (own)", "PURLS"),
    ]
    columns = {c.column for c in shape.cells()}
    assert all(shape.cell(row, column).paper is None for row, _ in rows for column in columns)
    assert layout(3).rows_of(methods) == ()


def test_methods_after_the_paper_are_rows_where_they_are_asked_for(tmp_path):
    def methods(text):
        return {s.trial.method for s in slots_of(tmp_path, f"study: s\nseeds: 1\n{text}") if s.trial}

    paper = set(METHODS.names()) - NEWER
    assert len(paper) == 9
    assert len(NEWER) == 5
    assert methods("tables: [1]\n") == paper
    assert methods("tables: [9]\n") == paper
    assert methods("tables: [1]\nmethods: [msf]\n") == {*paper, "msf"}
    assert methods("tables: [1]\nwhere: {method: [dvta, fs_vae]}\n") == {"dvta", "fs_vae"}
    assert {s.trial.method for s in profile_study(Settings.load(runs=str(tmp_path))).slots} == paper


def test_the_leaderboard_has_the_papers_rows_and_the_newer_ones_with_what_they_print():
    cells = layout("leaderboard").cells()
    assert len({(c.row, c.column) for c in cells}) == len(cells) == 15 * 16
    assert {c.configs[0]["method"] for c in cells} == set(METHODS.names())
    assert {config["evaluate_on"] for c in cells for config in c.configs} == {"gzsl"}
    printed = {(c.row, c.column): c.paper for c in cells if c.paper is not None}
    assert len(printed) == 15 * 4 + 4 + 4 + 3
    assert printed["DVTA", "NTU-60 55/5 ZSL"] == 79.28
    assert printed["MSF", "NTU-120 96/24 gate H"] == 52.4
    assert printed["Flora, sentence form", "NTU-60 48/12 ZSL"] == 65.3
    comparable = {c.row for c in cells if c.comparable}
    assert comparable == {c.row for c in layout(1).cells()}
    # the rows say whose numbers they are, by which protocol
    for row in ("MSF", "SA-DVAE", "FS-VAE", "Flora, sentence form", "TDSM, part texts"):
        assert row in layout("leaderboard").note
    assert "unseen test classes" in layout("leaderboard").note


class Own(METHODS.get("smie")):
    """A method of one's own."""


def test_the_cost_of_an_own_method_is_measured(tmp_path):
    own = f"{__name__}:Own"
    study = profile_study(Settings.load(runs=str(tmp_path)), [own, "smie"])
    assert {(s.row, s.trial.method) for s in study.slots} == {("Own", own), ("SMIE", "smie")}
    assert len(study.slots) == 2 * 6
    assert {s.trial.kind for s in study.slots} == {"profile"}


@pytest.mark.parametrize("name", ["os.path:join", "collections.abc:Mapping"])
def test_what_is_no_method_has_no_cost(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DVTA_RUNS", str(tmp_path))
    monkeypatch.delenv("DVTA_STORE", raising=False)
    done = CliRunner().invoke(app, ["profile", "smie", name])
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"error: method {name!r} is no dvta.methods.base.Method" in done.output


@pytest.mark.parametrize(
    ("table", "name", "value"), [(7, "visual", "st_gcn"), (3, "sde", "true"), (8, "tau", "0.3")]
)
def test_what_a_table_fixes_cannot_be_set(tmp_path, table, name, value):
    path = tmp_path / "s.yaml"
    path.write_text(f"study: s\ntables: [{table}]\n")
    message = rf"--set {name}={value}: table{table} fixes {name} .* where, or vary {name} in a grid"
    with pytest.raises(SpecError, match=message):
        list(expand(load_spec(path, overrides={name: value}), resolver()))


def test_what_a_table_does_not_fix_can_be_set(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("study: s\ntables: [7]\nwhere: {visual: st_gcn, text: sbert}\n")
    spec = load_spec(path, overrides={"lr": "0.5", "visual": "st_gcn", "gamma": "0.2"})
    trials = [s.trial for s in expand(spec, resolver())]
    assert {(t.training["lr"], t.visual, t.options["gamma"]) for t in trials} == {(0.5, "st_gcn", 0.2)}


@given(st.permutations(["method", "dataset", "split", "lr", "gamma", "sde", "tau"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_identity_knows_no_order_and_no_defaults(order, written_out):
    values = {
        "method": "dvta",
        "dataset": "ntu60",
        "split": "55/5",
        "lr": 1e-5,
        "gamma": 0.01,
        "sde": True,
        "tau": 0.1,
    }
    config = {name: values[name] for name in order}
    if not written_out:
        config = {"dataset": "ntu60", "split": "55/5"}
    trial = resolver().trial(config, 0)
    assert trial.key == resolver().trial(values, 0).key
    assert Trial.from_dict(json.loads(json.dumps(trial.to_dict()))).key == trial.key
    assert trial.key != resolver().trial(values, 1).key
    assert trial.key != resolver().trial({**values, "gamma": 0.02}, 0).key


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.integers(), min_size=1, max_size=4, unique=True), min_size=1
    )
)
def test_the_grid_is_the_product_of_its_axes(grid):
    points = list(grid_points(grid, [], []))
    assert len(points) == len(list(itertools.product(*grid.values())))
    assert len({tuple(sorted(p.items())) for p in points}) == len(points)


def test_rows_are_called_after_what_is_forced(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "study: s\ndefaults: {dataset: ntu60, split: 55/5}\ngrid: {gamma: [0.1, 0.2], lr: [0.1, 0.2]}\nseeds: 2\n"
    )
    slots = expand(load_spec(path, overrides={"gamma": "0.9"}), resolver())
    assert [slot.row for slot in slots] == [f"gamma=0.9,lr={lr}" for lr in (0.1, 0.1, 0.2, 0.2)]
    assert {slot.trial.options["gamma"] for slot in slots} == {0.9}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("loss: [nothing]", "where.loss: no cell of the tables has loss; allowed: method, dataset"),
        ("epochs: [2]", "where.epochs: no cell of the tables has epochs; allowed: method, dataset"),
        ('"dataset, split": [[ntu60, 55/5]]', "where.dataset, split: no cell of the tables has"),
    ],
)
def test_where_names_what_the_cells_have(tmp_path, where, message):
    with pytest.raises(SpecError, match=message):
        slots_of(tmp_path, f"study: s\ntables: [5]\nwhere: {{{where}}}\n")
    with pytest.raises(SpecError, match="where: chooses among the cells of tables, and none is named"):
        slots_of(tmp_path, f"study: s\ngrid: {{gamma: [0.1]}}\nwhere: {{{where}}}\n")


def test_where_leaves_out_the_cells_that_lack_a_name_of_it(tmp_path):
    spec = "study: s\ntables: [1, 5]\nwhere: {dataset: ntu60, gamma: [0.01, 0.1]}\nseeds: 1\n"
    slots = slots_of(tmp_path, spec)
    assert {(slot.table, slot.row) for slot in slots} == {("table5", "0.01"), ("table5", "0.1")}


def test_where_that_no_cell_fulfils_is_named_as_the_reason(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("study: s\ntables: [5]\nwhere: {dataset: ntu60, split: 96/24}\n")
    with pytest.raises(SpecError, match="nothing to run: no cell of the tables has all that where asks for"):
        read_study(path, Settings.load(data=str(tmp_path), runs=str(tmp_path)))


def test_coupled_axes_includes_and_excludes():
    grid = {"d, s": [["x", 1], ["y", 2]], "g": [3, 4]}
    assert len(list(grid_points(grid, [], []))) == 4
    points = list(grid_points(grid, [{"d": "z"}], [{"d": "x", "g": 4}]))
    assert points == [
        {"d": "x", "s": 1, "g": 3},
        {"d": "y", "s": 2, "g": 3},
        {"d": "y", "s": 2, "g": 4},
        {"d": "z"},
    ]
    # what the grid does not vary can be excluded too
    assert not list(grid_points({"g": [1]}, [], [{"d": "x"}], lambda point: {"d": "x", **point}))


@pytest.mark.parametrize("flags", [{}, {"retry": True}, {"redo": True}])
def test_a_plan_is_desired_minus_done(tmp_path, flags):
    slots = slots_of(
        tmp_path,
        "study: s\ngrid: {dataset: ntu60, split: 55/5, gamma: [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]}\n",
    )
    trials = [s.trial for s in slots]
    # a search's pruner stopped one, which leaves no number
    states = [State.DONE, State.FAILED, State.RUNNING, State.INTERRUPTED, State.PRUNED]
    statuses = {
        t.key: TrialStatus(s, i, 1, 0, "o", "", 1.0)
        for i, (t, s) in enumerate(zip(trials, states, strict=False), start=1)
    }
    plan = make_plan(slots, statuses, **flags)
    run = (
        {trials[3], trials[4], trials[5]}
        | ({trials[1]} if "retry" in flags else set())
        | ({trials[0]} if "redo" in flags else set())
    )
    assert set(plan.to_run) == run
    assert plan.leased == (trials[2],)
    assert len(plan.to_run) + len(plan.done) + len(plan.failed) + len(plan.leased) == plan.distinct == 6
    assert plan.replaced[trials[4].key] == 5


def test_costs_and_accuracies_are_counted_for_one_seed(tmp_path):
    for seeds in (1, 3):
        slots = slots_of(tmp_path, f"study: s\ntables: [9]\nwhere: {{method: smie}}\nseeds: {seeds}\n")
        plan = make_plan(slots, {})
        assert (plan.cells, plan.distinct) == (2, 1 + seeds)


def test_the_preset_brings_its_learning_rate_and_warm_up():
    path = ROOT / "experiments/table3.yaml"
    cell = {"method": "dvta", "dataset": "ntu60"}
    published = load_spec(path, profile="paper").cell_config(cell)
    assert (published["lr"], published["warmup_epochs"]) == (1e-6, 15)
    printed = load_spec(path, profile="paper", overrides={"preset": "paper"})
    config = printed.cell_config(cell)
    assert "lr" not in config
    assert "warmup_epochs" not in config


def test_smie_has_its_temporal_constraint_on_its_own_track():
    for number, temporal in ((1, None), (2, True)):
        rows = [c for c in layout(number).cells() if c.row == "SMIE"]
        assert rows
        assert {config.get("temporal") for c in rows for config in c.configs} == {temporal}


def test_every_shipped_experiment_expands():
    expected = {
        "ablation.yaml": (184, 111), "base.yaml": (0, 0), "baselines.yaml": (85, 85), "cmu.yaml": (15, 15),
        "cmu_encoders.yaml": (12, 0), "cmu_end_to_end.yaml": (3, 0), "cmu_leaderboard.yaml": (210, 195),
        "cmu_joint.yaml": (12, 0), "cmu_random.yaml": (100, 0),
        "cmu_methods.yaml": (90, 72), "leaderboard.yaml": (1200, 300),
        "gzsl.yaml": (120, 40), "paper.yaml": (888, 555), "quickstart.yaml": (36, 36), "search.yaml": (12, 12),
        "table1.yaml": (120, 120), "table2.yaml": (135, 135), "table3.yaml": (180, 90), "table4.yaml": (72, 72),
        "table5.yaml": (72, 72), "table6.yaml": (48, 24), "table7.yaml": (72, 36), "table8.yaml": (108, 108),
        "table9.yaml": (81, 36),
    }  # fmt: skip
    files = sorted((ROOT / "experiments").rglob("*.yaml"))
    assert len(files) == 24
    found = {}
    for path in files:
        spec = load_spec(path).model_copy(update={"source": "simulated"})
        slots = list(expand(spec, resolver(source="simulated")))
        found[path.name] = (len(slots), len({s.trial.key for s in slots if s.trial}))
    assert found == expected
