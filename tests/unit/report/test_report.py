import csv
import io
import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.errors import SettingsError
from orchestrator.records import Outcome, Slot
from orchestrator.report.compare import compare
from orchestrator.report.explain import explain
from orchestrator.report.render import FORMATS, render
from orchestrator.report.table import build_table, choose, pivot
from orchestrator.store import EpochRow, Store
from orchestrator.tables import layout
from orchestrator.trial import Trial
from tests.cell_values import generalised, table5, value


class NoAttempts:
    def attempts(self, keys):
        return []

    def names(self, keys):
        return dict.fromkeys(keys, "name")


def test_a_cell_is_mean_and_std_over_seeds_beside_the_paper():
    table = build_table(table5(), protocol="final", study="s", layout=layout(5))
    number = table.numbers["0.01", "NTU-60 55/5"]
    assert (number.mean, number.n, number.expected, number.paper) == (pytest.approx(60), 3, 3, "78.24")
    assert number.std == pytest.approx(10)
    assert number.difference == pytest.approx(60 - 78.24)
    assert any("78.14" in line for line in table.caption)
    assert len(table.numbers) == 24
    best = build_table(table5(), protocol="best", study="s", layout=layout(5))
    assert best.numbers["0.01", "NTU-60 55/5"].mean == pytest.approx(70)
    assert any(line.startswith("protocol best") for line in best.caption)


def test_simulated_numbers_are_named_and_never_stand_beside_the_paper():
    table = build_table(table5("simulated"), protocol="final", study="s", layout=layout(5))
    assert table.title.endswith("(simulated)")
    assert table.caption[0].startswith("SIMULATED")
    assert all(n.paper is None and n.difference is None for n in table.numbers.values())


def test_an_average_needs_every_split_and_a_missing_cell_says_why():
    values = [value("r", "average", 0, 0.5, "a"), value("r", "average", 0, 0.7, "b")]
    values += [value("r", "average", 1, 0.5, "a"), value("r", "average", 1, None, "b")]
    number = build_table(values, protocol="final", study="s").numbers["r", "average"]
    assert (number.mean, number.std, number.n, number.expected) == (pytest.approx(60), None, 1, 2)
    lacking = build_table([value("r", "c", 0, None, missing="no text")], protocol="final", study="s")
    assert lacking.numbers["r", "c"].missing == "no text"
    assert "—: no text" in lacking.caption
    waiting = build_table([value("r", "c", 0, None)], protocol="final", study="s")
    assert "dvta-orch sweep" in waiting.numbers["r", "c"].missing


def test_an_average_with_a_missing_split_or_of_two_sources_is_no_number():
    column = "NTU-60"
    splits = [value("DVTA", column, s, 0.5, f"smie_{i}") for i in (1, 3) for s in range(2)]
    lacking = [*splits, value("DVTA", column, None, None, missing="missing z_label.npy in smie_2")]
    table = build_table(lacking, protocol="final", study="s", layout=layout(2))
    number = table.numbers["DVTA", column]
    assert (number.mean, number.difference) == (None, None)
    assert "—: missing z_label.npy in smie_2" in table.caption
    mixed = [*splits, *(value("DVTA", column, s, 0.9, "smie_2", "simulated") for s in range(2))]
    table = build_table(mixed, protocol="final", study="s", layout=layout(2))
    number = table.numbers["DVTA", column]
    assert (number.mean, number.paper, number.difference) == (None, None, None)
    assert "—: trials of source real and simulated, which are never averaged" in table.caption


def test_the_caption_has_what_is_shared_and_a_pivot_what_varies():
    shared, other = {"gamma": 0.1, "tau": 0.5}, {"gamma": 0.2, "tau": 0.5}
    values = [value("a", "x", s, 0.5, **c) for s in range(2) for c in (shared, other)]
    table = pivot(values, "gamma", ["split"], protocol="final", study="s")
    assert (table.row_name, table.rows, table.columns) == ("gamma", ("0.1", "0.2"), ("55/5",))
    assert [n.n for n in table.numbers.values()] == [2, 2]
    line = next(x for x in table.caption if x.startswith("all trials"))
    assert "tau 0.5" in line
    assert "gamma" not in line
    assert not any(x.startswith("averaged") for x in table.caption)
    by_seed = pivot(values, "gamma", ["seed"], protocol="final", study="s")
    assert by_seed.columns == ("0", "1")


def test_a_pivot_says_what_it_averages_over():
    configs = [
        {"gamma": g, "tau": t, "depends_on": n} for g in (0.1, 0.2) for t, n in ((0.5, "x"), (0.6, "y"))
    ]
    values = [value("a", "x", s, 0.5, **c) for s in range(2) for c in configs]
    assert (
        "averaged over tau, the encoder's training"
        in pivot(values, "gamma", [], protocol="final", study="s").caption
    )
    assert not any(
        x.startswith("averaged") for x in pivot(values, "gamma", ["tau"], protocol="final", study="s").caption
    )


def test_a_table_says_what_trials_of_one_cell_and_seed_differ_in_but_not_that_its_averages_are_over_splits():
    swept = [value("DVTA", "NTU-60", s, 0.5, f"smie_{i}", lr=i / 10) for s in range(2) for i in (1, 2, 3)]
    assert "averaged over" not in str(
        build_table(swept, protocol="final", study="s", layout=layout(2)).caption
    )
    elsewhere = [value("DVTA", "NTU-60", s, 0.6, "smie_1", lr=0.5) for s in range(2)]
    both = build_table([*swept, *elsewhere], protocol="final", study="s", layout=layout(2))
    assert "averaged over lr" in both.caption


def test_a_pivot_shows_what_its_trials_measured():
    costs = [value("DVTA", "Params (M)", 0, None, source="random", kind="profile")]
    encoders = [
        value("st_gcn", "seen-class accuracy", s, 0.9, method="st_gcn", kind="encoder") for s in range(3)
    ]
    trained = [value("DVTA", "NTU-60", s, 0.5) for s in range(3)]
    table = pivot([*costs, *encoders, *trained], "method", ["dataset"], protocol="final", study="s")
    number = table.numbers["dvta", "ntu60"]
    assert (table.rows, number.mean, number.n, number.expected) == (("dvta",), pytest.approx(50), 3, 3)
    with pytest.raises(SettingsError, match="no trained methods"):
        pivot(costs, "method", [], protocol="final", study="s")
    with pytest.raises(SettingsError, match="'gama' is unknown"):
        pivot(trained, "gama", [], protocol="final", study="s")


def test_a_pivot_shows_the_harmonic_mean_of_generalised_trials_and_never_mixes_them_with_others():
    values = [generalised("DVTA", "harmonic mean", s, 0.2) for s in range(2)]
    values += [value("DVTA", "NTU-60 55/5", s, 0.7, evaluate_on="unseen") for s in range(2)]
    table = pivot(values, "method", ["evaluate_on"], protocol="final", study="s")
    assert table.numbers["dvta", "gzsl"].mean == pytest.approx(20)
    assert table.numbers["dvta", "unseen"].mean == pytest.approx(70)
    assert any("harmonic mean" in line for line in table.caption)
    mixed = pivot(values, "method", ["dataset"], protocol="final", study="s").numbers["dvta", "ntu60"]
    assert (mixed.mean, mixed.missing) == (
        None,
        "trials of evaluate_on gzsl and unseen, which are never averaged",
    )


def test_a_pivot_compares_its_rows_and_knows_the_trials_behind_a_number():
    values = [
        value("r", "c", s, 0.5 + 0.1 * sde + 0.01 * gamma, sde=sde, gamma=gamma)
        for sde in (False, True)
        for gamma in (1, 3)
        for s in range(2)
    ]
    table = pivot(values, "sde", ["dataset"], protocol="final", study="s", against="fal")
    paired = table.numbers["true", "ntu60"].paired
    assert (paired.differences, paired.seeds) == (pytest.approx((10,)), (2,))  # the mean over gamma and seeds
    assert table.numbers["false", "ntu60"].paired is None
    lines = explain(NoAttempts(), table, "true", "ntu60", "final")
    assert len([line for line in lines if line.startswith("trial ")]) == 4
    alone = pivot(values, "seed", [], protocol="final", study="s", against="0")
    assert "no class split and seed is both in a row and in row '0'" in alone.caption
    with pytest.raises(SettingsError, match="--compare ROW: 'maybe' names 0"):
        pivot(values, "sde", [], protocol="final", study="s", against="maybe")


def splits_of(row, final, splits, seeds=range(3), **more):
    return [value(row, "x", s, final + 0.01 * i, f"split {i}", **more) for i in range(splits) for s in seeds]


def test_the_unit_of_a_comparison_is_the_class_split_and_p_comes_from_six_on():
    three = compare(splits_of("a", 0.5, 3), splits_of("b", 0.4, 3), "final")
    # three splits with three seeds are three units, not nine pairs
    assert (three.differences, three.seeds, three.p) == (pytest.approx((10,) * 3), (3, 3, 3), None)
    assert str(three) == "Δ +10.00 (3 splits × 3 seeds)"
    alone = compare(splits_of("a", 0.5, 1, range(9)), splits_of("b", 0.4, 1, range(9)), "final")
    assert (len(alone.differences), alone.seeds, alone.p) == (1, (9,), None)
    six = compare(splits_of("a", 0.5, 6), splits_of("b", 0.4, 6, (2, 1, 0)), "final")
    assert six.p == pytest.approx(2 / 2**6)  # the smallest a signed-rank test of six units can give
    assert compare(splits_of("a", 0.5, 5), splits_of("b", 0.4, 6), "final").p is None
    assert compare(splits_of("a", 0.5, 6), splits_of("a", 0.5, 6), "final").p == 1.0


def test_a_comparison_uses_the_seeds_that_both_have_and_one_source():
    ours = [value("a", "x", s, 0.5 + 0.1 * s) for s in range(3)]
    found = compare(ours, [value("b", "x", s, 0.4) for s in (1, 2, 7)], "final")
    assert (found.differences, found.seeds) == (pytest.approx((25,)), (2,))
    assert compare(ours, [value("b", "x", 9, 0.4)], "final") is None
    assert compare(ours, [value("b", "y", 0, 0.4, "48/12")], "final") is None
    unequal = compare([*ours, *splits_of("a", 0.5, 1)], [*ours[:2], *splits_of("b", 0.5, 1)], "final")
    assert str(unequal) == "Δ +0.00 (2 splits × 2 to 3 seeds)"
    simulated = splits_of("b", 0.4, 6, source="simulated")
    assert compare(splits_of("a", 0.5, 6), simulated, "final") is None
    two = [value("c", "x", 0, 0.5, "split 0", source=source) for source in ("real", "simulated")]
    assert compare(two, [*splits_of("b", 0.4, 6), *simulated], "final") is None


def test_a_comparison_says_in_the_caption_how_many_splits_and_seeds():
    values = splits_of("a", 0.5, 6) + splits_of("b", 0.4, 6)
    table = build_table(values, protocol="final", study="s", against="b")
    assert table.numbers["a", "x"].paired == compare(values[:18], values[18:], "final")
    assert table.numbers["b", "x"].paired is None
    assert "a against b, all columns: Δ +10.00 (6 splits × 3 seeds, p = 0.0312)" in table.caption
    assert any("seeds averaged inside each" in line for line in table.caption)
    few = build_table(
        splits_of("a", 0.5, 2) + splits_of("b", 0.4, 2), protocol="final", study="s", against="b"
    )
    assert "a against b, all columns: Δ +10.00 (2 splits × 3 seeds); by split: +10.00, +10.00" in few.caption
    assert "p =" not in render(few, "md")


def test_what_is_compared_and_explained_is_what_the_cell_shows():
    values = [
        generalised(row, f"NTU-60 55/5 {what}", s, harmonic)
        for row, harmonic in (("SMIE", 0.6), ("DVTA", 0.5))
        for what in ("seen", "harmonic mean")
        for s in range(2)
    ]
    table = build_table(values, protocol="final", study="s", layout=layout("gzsl"), against="DVTA")
    column = "NTU-60 55/5 harmonic mean"
    assert table.numbers["SMIE", column].paired.differences == pytest.approx((10,))
    assert table.numbers["SMIE", "NTU-60 55/5 seen"].paired.differences == (0,)
    assert f"SMIE against DVTA, {column}: Δ +10.00 (1 split × 2 seeds); by split: +10.00" in table.caption
    lines = explain(NoAttempts(), table, "SMIE", column, "final")
    assert [": 60.0000 %; data real" in line for line in lines if line.startswith("trial ")] == [True, True]
    costs = [value("DVTA", "Params (M)", 0, None, source="random")]
    table = build_table(costs, protocol="final", study="s", layout=layout(9))
    assert "name: 4.8882; data" in explain(NoAttempts(), table, "DVTA", "Params (M)", "final")[-1]


def test_table_9_shows_costs_in_their_units():
    values = [value("DVTA", "Params (M)", 0, None, source="random")]
    table = build_table(values, protocol="final", study="s", layout=layout(9))
    number = table.numbers["DVTA", "Params (M)"]
    assert (number.mean, number.paper) == (pytest.approx(4.888193), "4.88")


def invoke(tmp_path, monkeypatch, slots, *arguments):
    """Run a command on a store that holds one study of these slots; return exit code and output."""
    url = f"sqlite:///{tmp_path}/dvta.db"
    Store.open(url).save_study("s", "", slots)
    monkeypatch.setenv("DVTA_STORE", url)
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def test_a_study_without_a_grid_says_which_tables_it_has(tmp_path, monkeypatch):
    slots = [Slot(f"table{n}", "row", "column", None, "no text") for n in (6, 5)]
    code, output = invoke(tmp_path, monkeypatch, slots, "report")
    assert (code, output) == (2, "error: study 's' has no grid; give --table 5 or 6\n")
    assert invoke(tmp_path, monkeypatch, slots, "report", "--table", "5")[0] == 0
    candidates = [Slot("search", "row", "validation accuracy", None, "no text")]
    code, output = invoke(tmp_path, monkeypatch, candidates, "report")
    assert (code, output) == (2, "error: study 's' has no grid yet\n")


def done_trial(store, trial, losses):
    claim = store.claim(trial, "me", 60, {})
    rows = [EpochRow(n, 0.0, {"loss": loss}) for n, loss in enumerate(losses, 1)]
    store.record(claim.attempt_id, "me", rows, outcome=Outcome({"final_accuracy": 0.5}, {}, 1.0))


def test_a_figure_needs_something_to_draw_and_a_place_to_go(tmp_path, monkeypatch):
    trial = Trial("dvta", 1, "ntu60", "55/5", "v", "t", 0, "real", "d", {}, {"epochs": 2})
    slots = [Slot("table5", "None", "NTU-60 55/5", trial)]
    figure = tmp_path / "figures" / "five.png"
    code, output = invoke(tmp_path, monkeypatch, slots, "figure", "5", "--output", str(figure))
    assert (code, output) == (2, "error: figure 5: Table 5 has no done trials in NTU-60 55/5\n")
    assert not figure.parent.exists()
    done_trial(Store.open(f"sqlite:///{tmp_path}/dvta.db"), trial, [2.0, 1.0])
    assert invoke(tmp_path, monkeypatch, slots, "figure", "5", "--output", str(figure))[0] == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    code, output = invoke(tmp_path, monkeypatch, slots, "figure", "5", "--output", f"{tmp_path}/file/x.png")
    assert code == 2
    assert "x.png: cannot be written (" in output


def test_a_row_is_chosen_by_a_part_that_only_one_has():
    assert choose("ROW", "da", ("SDE + DA", "SDE")) == "SDE + DA"
    with pytest.raises(SettingsError, match="names 2 of the table's"):
        choose("ROW", "SDE +", ("SDE + DA", "SDE + AA"))
    with pytest.raises(SettingsError, match="did you mean 'Sigmoid'"):
        choose("ROW", "Sigmoyd", ("None", "Sigmoid"))


def test_every_format_carries_every_number():
    table = build_table(table5(), protocol="final", study="s", layout=layout(5))
    assert sorted(FORMATS) == ["csv", "html", "json", "latex", "md", "rich"]
    assert len(json.loads(render(table, "json"))["cells"]) == 24
    rows = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert len(rows) == 24
    assert float(rows[0]["mean"]) == pytest.approx(60)
    for style in ("rich", "md", "latex", "html"):
        assert render(table, style).count("60.00") == 24
