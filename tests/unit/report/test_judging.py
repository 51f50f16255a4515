"""Intervals against formulas, tests against published examples, and what a judgement refuses or says."""

import csv
import io
import json
import math
import re

import numpy as np
import pytest

from orchestrator.errors import SettingsError
from orchestrator.report.judging import significance
from orchestrator.report.judging.bootstrap import interval, replicates
from orchestrator.report.judging.cells import with_intervals
from orchestrator.report.judging.judgement import judge
from orchestrator.report.judging.sentences import sentences
from orchestrator.report.judging.show import show
from orchestrator.report.judging.units import Sample, measured
from orchestrator.report.render import render
from orchestrator.report.table import build_table
from tests.cell_values import value
from tests.commands import run
from tests.study_store import make_store

# AUC of C4.5, +m, +cf and +m+cf on 14 data sets: table 6 of Demšar (JMLR 2006)
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.94, 0.619, 0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "C4.5+cf": [0.771, 0.59, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.9751, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.97],
}  # fmt: skip


def runs(*values, counts=None):
    """Return the seeds of a unit."""
    return [[(1.0, Sample(v, counts or {}))] for v in values]


def rows(units, seeds=2, **gaps):
    """Return rows whose accuracy differs by a gap, the same in every class split but for a small pattern."""
    return {
        name: [
            value(name, "c", s, 0.5 + gap * (1 + 0.1 * (u % 3)) + 0.01 * s + 0.02 * u, split=f"s{u}")
            for u in range(units)
            for s in range(seeds)
        ]
        for name, gap in gaps.items()
    }


def judged(found, **more):
    return judge(found, study="made", protocol="final", **more)


def test_one_split_per_unit_gives_the_interval_of_the_normal_formula():
    values = np.random.default_rng(1).normal(50, 5, 200)
    found = interval([runs(v) for v in values])
    # a bootstrap draws with the variance over n, not n - 1
    half = 1.959964 * values.std() / math.sqrt(len(values))
    assert found.levels == ("split",)
    assert found.low == pytest.approx(values.mean() - half, abs=0.06)
    assert found.high == pytest.approx(values.mean() + half, abs=0.06)


def test_two_levels_give_the_variance_of_the_formula_of_nested_draws():
    rng = np.random.default_rng(2)
    table = 50 + 6 * rng.normal(size=(12, 1)) + 3 * rng.normal(size=(12, 4))
    means, levels = replicates([runs(*row) for row in table], count=40_000)
    exact = (table.mean(axis=1).var() + table.var(axis=1).mean() / 4) / 12
    assert levels == ("split", "seed")
    assert means.mean() == pytest.approx(table.mean(), abs=0.05)
    assert means.var() == pytest.approx(exact, rel=0.03)


def test_classes_of_equal_size_give_the_variance_of_their_mean():
    right = {0: (9, 10), 1: (4, 10), 2: (7, 10), 3: (1, 10), 4: (10, 10)}
    accuracies = 100 * np.array([r / t for r, t in right.values()])
    means, levels = replicates([runs(accuracies.mean(), counts=right)], count=40_000)
    assert levels == ("class",)
    assert means.mean() == pytest.approx(accuracies.mean(), abs=0.3)
    assert means.var() == pytest.approx(accuracies.var() / 5, rel=0.03)


def test_seeds_of_a_split_share_their_classes_and_a_pair_shares_both():
    right = {0: (9, 10), 1: (1, 10)}
    # independent draws would halve the variance of two seeds that agree
    (one, _), (two, levels) = (
        replicates([runs(*values, counts=right)], count=20_000) for values in ((50.0,), (50.0, 50.0))
    )
    assert levels == ("seed", "class")
    assert two.var() == pytest.approx(one.var(), rel=0.05)
    sample = Sample(50.0, right)
    pair = interval([[[(1.0, sample), (-1.0, Sample(45.0, right))]], [[(1.0, sample), (-1.0, sample)]]])
    assert (pair.low, pair.high) == (0.0, 5.0)
    assert interval([runs(50.0)]) is None


def test_intervals_repeat_and_classes_without_samples_do_no_harm():
    unit = [runs(50.0, 60.0, counts={0: (1, 2), 1: (0, 0)})]
    assert interval(unit) == interval(unit)
    assert interval(unit).low == 50.0


def test_holms_correction_is_that_of_a_worked_example():
    # Holm's step-down on 0.01, 0.04, 0.03, 0.005, as R's p.adjust gives it
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]
    assert significance.holm([]) == []


def test_ranks_and_their_critical_difference_are_those_of_demsars_example():
    found = significance.ranks(DEMSAR)
    assert {row: round(rank, 3) for row, rank in found.mean.items()} == {
        "C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143,
    }  # fmt: skip
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)  # of table 5 for four rows: q 2.569
    assert significance.critical_difference(10, 30) == pytest.approx(3.164 * math.sqrt(110 / 180), abs=0.002)
    # his statistic 9.28 (p 0.0257) leaves out the correction for ties, which makes it larger
    statistic = 12 * 14 / 20 * (sum(rank**2 for rank in found.mean.values()) - 4 * 25 / 4)
    assert statistic == pytest.approx(9.28, abs=0.05)
    assert 0.015 < found.p < 0.0257
    assert significance.ranks({k: v[:9] for k, v in DEMSAR.items()}) is None
    assert significance.ranks({k: DEMSAR[k] for k in ("C4.5", "C4.5+m")}) is None
    alike = significance.ranks({k: [0.5] * 10 for k in "abc"})
    assert (alike.p, set(alike.mean.values())) == (1.0, {2.0})


def test_what_differs_by_the_rounding_of_floats_alone_is_a_tie():
    seeds = {"devise": (0.1, 0.3), "smie": (0.2, 0.2), "revise": (0.25, 0.15)}
    found = {
        row: [
            value(row, "c", s, float(np.float32(x)), split=f"s{u}")
            for u in range(12)
            for s, x in enumerate(accuracies)
        ]
        for row, accuracies in seeds.items()
    }
    result = judged(found)
    assert [(pair.p, pair.posterior.equivalent) for pair in result.pairs] == [(1.0, 1.0)] * 3
    assert (result.ranks.p, set(result.ranks.mean.values())) == (1.0, {2.0})
    # 0.15625 is where rounding to four digits would part two equal values
    noise = [1e-6, -1e-6, 0.15625 - 1e-6, -0.15625 - 1e-6, 0.5]
    assert significance.tied(noise) == [0.0, 0.0, 0.15625 - 1e-6, -(0.15625 - 1e-6), 0.5]
    assert significance.tied_rows({"a": [20.0, 5.0], "b": [20.000001, 7.0]}) == {
        "a": [20.0, 5.0],
        "b": [20.0, 7.0],
    }


def test_a_posterior_has_a_direction_and_a_region():
    clear = significance.posterior([5.0] * 12, 1.0)
    assert (clear.better, clear.worse) == (1.0, 0.0)
    assert significance.posterior([-5.0] * 12, 1.0).worse == 1.0
    small = significance.posterior([0.3, -0.2, 0.1, 0.4, -0.5] * 3, 1.0)
    assert small.equivalent == 1.0
    assert significance.posterior([0.3, -0.2, 0.1, 0.4, -0.5] * 3, 0.0).equivalent == 0.0
    assert significance.posterior([5.0] * 9, 1.0) is None


@pytest.mark.parametrize(
    ("units", "p", "ranks", "says"),
    [
        (1, False, False, "one class split: no interval says anything of other unseen classes"),
        (5, False, False, "no p-values: 5 class splits"),
        (6, True, False, "no probabilities of being better or equivalent: they need 10 class splits"),
        (10, True, True, "region of practical equivalence of 1 point"),
    ],
)
def test_what_is_tested_follows_from_the_number_of_class_splits(units, p, ranks, says):
    found = judged(rows(units, a=0.0, b=0.05, c=0.1))
    assert [row.row for row in found.rows] == ["c", "b", "a"]
    assert len(found.pairs) == 3
    assert {len(pair.differences) for pair in found.pairs} == {units}
    assert all((pair.p is not None) == p == (pair.holm is not None) for pair in found.pairs)
    assert all((pair.posterior is not None) == ranks for pair in found.pairs)
    assert (found.ranks is not None) == ranks
    lines = sentences(found)
    assert any(says in line for line in lines), lines
    assert any(f"{units} class split" in line for line in lines)


def test_p_values_are_corrected_for_the_rows_compared():
    many = judged(rows(8, a=0.0, b=0.05, c=0.1))
    assert all(pair.holm == pytest.approx(3 * 2 / 2**8) for pair in many.pairs)
    one = judged(rows(8, a=0.0, b=0.05, c=0.1), against="a")
    assert [(pair.row, pair.other) for pair in one.pairs] == [("c", "a"), ("b", "a")]
    assert all(pair.holm == pytest.approx(2 * 2 / 2**8) for pair in one.pairs)


def test_rows_count_the_class_splits_that_all_have_and_pairs_their_own():
    found = rows(12, a=0.0, b=0.05)
    found["b"] = [v for v in found["b"] if v.config["split"] in ("s0", "s1", "s2")]
    result = judged(found)
    assert [(row.units, row.own_units) for row in result.rows] == [(3, 3), (3, 12)]
    assert result.rows[1].mean == pytest.approx(52.5)
    assert "a: has 12 class splits, of which 3 are in all rows and count" in sentences(result)
    assert any("too narrow, by about 18 %" in line for line in sentences(result))
    found["b"] = [value("b", "c", 0, 0.5, split="elsewhere")]
    with pytest.raises(
        SettingsError, match=re.escape("no class split has all rows (class splits of each: a 12")
    ):
        judged(found)


def test_what_may_not_be_compared_is_refused():
    mixed = {"a": [value("a", "c", 0, 0.5)], "b": [value("b", "c", 0, 0.5, source="simulated")]}
    with pytest.raises(SettingsError, match="source real and simulated, which are never compared"):
        judged(mixed)
    with pytest.raises(SettingsError, match="--against 'd'.*allowed: a, b"):
        judged(rows(3, a=0.0, b=0.1), against="d")
    with pytest.raises(SettingsError, match="--quantity gzsl_ausuc: no done trial.*allowed: accuracy$"):
        judged(rows(3, a=0.0), quantity="gzsl_ausuc")
    for other in ("best_epoch", "ece", "temperature"):
        with pytest.raises(
            SettingsError, match=f"--quantity {other}: is no share of which more is better.*allowed: acc"
        ):
            judged(rows(3, a=0.0), quantity=other)


def test_a_row_that_averages_configurations_says_so_and_simulated_data_are_marked():
    found = {"a": [value("a", "c", 0, 0.5, gamma=g, source="simulated") for g in (0.1, 0.2)]}
    result = judged(found)
    assert sentences(result)[0].startswith("SIMULATED")
    assert "a: averages trials that differ in gamma" in sentences(result)
    assert show(result, "rich").startswith("Judgement of study made (simulated)")
    assert "\\caption{Judgement of study made (simulated). SIMULATED data" in show(result, "latex")


def test_every_format_holds_every_number():
    result = judged(rows(12, a=0.0, b_1=0.05, c=0.1))
    for style in ("rich", "md", "latex", "html"):
        text = show(result, style)
        for row in result.rows:
            assert f"{row.mean:.2f} [{row.interval.low:.2f}, {row.interval.high:.2f}]" in text, style
            assert f"{row.gain:+.2f}" in text
        for pair in result.pairs:
            assert f"{pair.mean:+.2f}" in text
            assert f"{pair.holm:.3g}" in text
    records = list(csv.DictReader(io.StringIO(show(result, "csv"))))
    assert [r["kind"] for r in records] == ["row"] * 3 + ["pair"] * 3
    assert float(records[0]["mean"]) == pytest.approx(result.rows[0].mean)
    assert len(records[3]["differences"].split()) == 12
    loaded = json.loads(show(result, "json"))
    assert loaded["ranks"]["units"] == 12
    assert len(loaded["pairs"]) == 3


def test_a_tables_cells_have_intervals_over_what_they_have_several_of():
    values = [value("a", "c", s, 0.5 + 0.1 * s) for s in range(3)] + [value("b", "c", 0, 0.5)]
    table = with_intervals(build_table(values, protocol="final", study="made"), {})
    number = table.numbers["a", "c"]
    assert (number.low, number.high) == (50.0, 70.0)
    assert table.numbers["b", "c"].low is None
    assert "60.00 ± 10.00 (n=3) [50.00, 70.00]" in render(table, "md")
    assert "[50.00, 70.00]" in render(table, "latex")
    assert table.caption[-2].startswith("[low, high]: 95 % percentile interval of a hierarchical bootstrap")
    assert table.caption[-1] == "drawn: seed"
    counts = {"final": {1: {0: (1, 2), 1: (2, 2)}}}
    mixed = with_intervals(build_table(values, protocol="both", study="made"), counts)
    assert mixed.caption[-4:] == (
        "drawn in c final: seed → class",
        "drawn in c final: class",
        "drawn in c best: seed",
        "intervals that draw different things do not compare",
    )


def test_a_seed_counts_where_all_its_trials_are_measured():
    found = measured([value("a", "c", 0, 0.5), value("a", "d", 0, None), value("a", "c", 1, 0.5)], "final")
    assert {unit: list(seeds) for unit, seeds in found.items()} == {("ntu60", "55/5"): [1]}


def test_the_command_judges_a_study(tmp_path, monkeypatch, capsys):
    make_store(tmp_path, rows=3, columns=12, seeds=2, epochs=2)
    monkeypatch.setenv("DVTA_STORE", f"sqlite:///{tmp_path}/dvta.db")
    assert run("judge", "--rows", "gamma", "--against", "0.01", "--output", str(tmp_path / "j.json")) == 0
    found = json.loads((tmp_path / "j.json").read_text())
    assert [row["row"] for row in found["rows"]] == ["0.03", "0.02", "0.01"]
    assert found["rows"][0]["interval"]["levels"] == ["split", "seed", "class"]
    assert [(pair["row"], pair["other"]) for pair in found["pairs"]] == [("0.03", "0.01"), ("0.02", "0.01")]
    assert run("judge", "--rows", "gamma", "--where", "split=split_1", "--format", "md") == 0
    assert "no p-values: 1 class split" in capsys.readouterr().out
    assert run("report", "--rows", "gamma", "--interval") == 0
    assert "drawn: split → seed → class" in capsys.readouterr().out
    for arguments, message in (
        (("--rows", "gama"), "did you mean 'gamma'"),
        (("--table", "5", "--rows", "gamma"), "--rows: a table has its own rows"),
        (("--where", "split=split_99"), "has no done trials to judge there"),
        (("--output", "x.doc"), "says no format"),
    ):
        assert run("judge", *arguments) == 2
        assert message in capsys.readouterr().err
