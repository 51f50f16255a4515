"""Every number of a table is what its column and its caption say."""

import csv
import io
import json

import pytest

from orchestrator.report.explain import explain
from orchestrator.report.judging.units import measured
from orchestrator.report.number import number_of
from orchestrator.report.render import FORMATS, render
from orchestrator.report.table import build_table, pivot
from orchestrator.tables import layout
from tests.cell_values import generalised, table5, value


class NoAttempts:
    def attempts(self, keys):
        return []

    def names(self, keys):
        return dict.fromkeys(keys, "name")


SPLITS = {"smie_1": 0.2, "smie_2": 0.5, "smie_3": 0.8}


def averages():
    """Return trials of three splits that are far apart, with seeds that are close."""
    return [
        value("DVTA", "NTU-60", seed, level + 0.01 * seed, split)
        for split, level in SPLITS.items()
        for seed in range(3)
    ]


def test_an_average_over_splits_shows_the_spread_over_seeds_and_between_splits():
    table = build_table(averages(), protocol="final", study="s", layout=layout(2))
    number = table.numbers["DVTA", "NTU-60"]
    assert (number.mean, number.std, number.n) == (pytest.approx(51), pytest.approx(1), 3)
    assert (number.splits, number.split_std) == (3, pytest.approx(30))
    for style in ("rich", "md", "html"):
        assert "51.00 ± 1.00 (n=3; 3 splits ± 30.00)" in render(table, style)
    assert r"51.00 $\pm$ 1.00 / 30.00" in render(table, "latex")
    assert r"behind /: $\pm$ between the splits" in render(table, "latex")
    (row,) = csv.DictReader(io.StringIO(render(table, "csv")))
    (cell,) = json.loads(render(table, "json"))["cells"]
    assert [float(found["split_std"]) for found in (row, cell)] == pytest.approx([30, 30])
    assert any("between the splits" in line for line in table.caption)
    lines = explain(NoAttempts(), table, "DVTA", "NTU-60", "final")
    assert "over 3 of 3 seeds, 3 splits (± 30.0000 between them), protocol final" in lines[1]


def test_the_number_of_one_split_has_no_spread_between_splits():
    table = build_table(averages()[:3], protocol="final", study="s")
    number = table.numbers["DVTA", "NTU-60"]
    assert (number.splits, number.split_std) == (1, None)
    assert not any("between the splits" in line for line in table.caption)


def test_splits_of_a_run_that_is_not_whole_count_nowhere():
    lacking = [*averages()[:-1], value("DVTA", "NTU-60", 2, None, "smie_3")]
    number = number_of(lacking, "final", "accuracy", 100.0)
    assert (number.n, number.expected, number.splits) == (2, 3, 3)
    assert number.split_std == pytest.approx(30)


def test_a_seed_that_was_not_asked_for_in_every_split_counts_nowhere():
    values = [value("devise", "a", s, 0.5 + 0.1 * s, "55/5") for s in range(3)]
    values.append(value("devise", "a", 0, 0.1, "48/12"))
    number = number_of(values, "final", "accuracy", 100.0)
    assert (number.mean, number.n, number.expected) == (pytest.approx(30), 1, 3)
    apart = [values[1], value("devise", "a", 0, 0.1, "48/12")]
    assert number_of(apart, "final", "accuracy", 100.0).missing == "no seed has all of its 2 class splits"


def both(values, **more):
    return build_table(values, protocol="both", study="s", **more)


def test_both_protocols_stand_side_by_side_with_their_difference():
    values = [v._replace(best=v.final + 0.02 * (v.seed + 1)) for v in table5()]
    table = both(values, layout=layout(5))
    column = "NTU-60 55/5"
    shown = [table.numbers["0.01", f"{column} {p}"] for p in ("final", "best", "best - final")]
    assert table.columns[:3] == (f"{column} final", f"{column} best", f"{column} best - final")
    assert [n.mean for n in shown] == pytest.approx([60, 64, 4])
    assert [n.std for n in shown] == pytest.approx([10, 12, 2])  # the difference is of each seed
    # the paper's protocol is best
    assert [n.paper for n in shown] == [None, "78.24", None]
    assert [n.difference for n in shown] == [None, pytest.approx(64 - 78.24), None]
    assert [
        any(line.startswith(p) for line in table.caption)
        for p in ("protocol final", "protocol best", "best - final")
    ] == [True] * 3
    assert any("78.14" in line for line in table.caption)


def test_every_format_has_both_protocols_and_their_difference():
    table = both(table5(), layout=layout(5))
    assert len(table.numbers) == 3 * 24
    for style in ("rich", "md", "latex", "html"):
        text = render(table, style)
        assert [text.count(x) >= 24 for x in ("60.00", "70.00", "+10.00")] == [True] * 3, style
    for rows in (
        json.loads(render(table, "json"))["cells"],
        list(csv.DictReader(io.StringIO(render(table, "csv")))),
    ):
        means = {
            p: [float(r["mean"]) for r in rows if r["protocol"] == p]
            for p in ("final", "best", "best - final")
        }
        assert {p: (len(x), x[0]) for p, x in means.items()} == {
            "final": (24, pytest.approx(60)), "best": (24, pytest.approx(70)), "best - final": (24, pytest.approx(10)),
        }  # fmt: skip


def test_both_protocols_of_pivots_comparisons_and_other_results():
    values = [
        value(row, "c", s, 0.5 + 0.1 * sde, sde=sde)
        for row, sde in (("a", False), ("b", True))
        for s in range(2)
    ]
    values = [v._replace(best=v.final + 0.1 * v.config["sde"]) for v in values]
    table = pivot(values, "sde", ["dataset"], protocol="both", study="s", against="false")
    assert table.columns == ("ntu60 final", "ntu60 best", "ntu60 best - final")
    paired = [table.numbers["true", c].paired for c in table.columns]
    assert [p and p.mean for p in paired] == [pytest.approx(10), pytest.approx(20), None]
    lines = [line for line in table.caption if "true against false" in line]
    assert [line.split(":")[0] for line in lines] == ["final", "best"]
    harmonic = [generalised("DVTA", "harmonic mean", s, 0.2) for s in range(2)]
    assert both(harmonic).columns == ("harmonic mean",)
    explained = explain(NoAttempts(), table, "true", "ntu60 best", "both")
    assert any("70.0000 %; data real" in line for line in explained)
    lacking = both([value("a", "c", 0, None)])
    assert [n.mean for n in lacking.numbers.values()] == [None] * 3


TUNED = "aa=true tuned"


def repeats():
    """Return the winners of three repeats of a search, far apart, each trained with two close seeds."""
    return [
        value(f"{TUNED} (repeat {r})", "accuracy", s, 0.2 * r + 0.01 * s, tau=r)
        for r in (1, 2, 3)
        for s in (0, 1)
    ]


def test_a_tuned_row_says_what_its_spread_is():
    once = build_table(
        [value(TUNED, "accuracy", s, 0.5 + 0.1 * s) for s in range(3)], protocol="final", study="s"
    )
    assert [("the search itself was not repeated" in line) for line in once.caption].count(True) == 1
    table = build_table(repeats(), protocol="final", study="s")
    number = table.numbers[TUNED, "accuracy"]
    assert table.rows == (TUNED,)
    assert (number.mean, number.std, number.n) == (pytest.approx(40.5), pytest.approx(20), 3)
    assert any("the whole search was repeated" in line for line in table.caption)
    assert not any("was not repeated" in line for line in table.caption)
    assert "3 of 3 repeats of the search" in explain(NoAttempts(), table, TUNED, "accuracy", "final")[1]
    plain = build_table([value("tau=1", "accuracy", 0, 0.5)], protocol="final", study="s")
    assert not any("tuned" in line for line in plain.caption)


def test_repeats_that_chose_the_same_trials_are_repeats_all_the_same():
    alike = [v._replace(key=f"same {v.seed}") for v in repeats()]
    whole = build_table(alike, protocol="final", study="s").numbers[TUNED, "accuracy"]
    pivoted = pivot(alike, "method", [], protocol="final", study="s").numbers["dvta", "accuracy"]
    assert (pivoted.n, pivoted.mean) == (3, pytest.approx(whole.mean))
    (runs,) = measured(alike, "final").values()
    assert len(runs) == 3


def test_a_repeated_search_is_compared_with_a_row_that_has_seeds():
    values = [*repeats(), *(value("plain", "accuracy", s, 0.3) for s in range(3))]
    paired = (
        build_table(values, protocol="final", study="s", against="plain").numbers[TUNED, "accuracy"].paired
    )
    assert (paired.differences, paired.seeds) == (pytest.approx((10.5,)), (3,))


def test_accuracies_say_on_which_classes_they_were_measured():
    tested = [value("a", "test accuracy", s, 0.5, evaluate_on="unseen") for s in range(2)]
    candidates = [value("a", "validation accuracy", 0, 0.7, evaluate_on="validation")]
    encoders = [value("e", "seen-class accuracy", 0, 0.9, kind="encoder")]
    unseen, held, seen = (
        "unseen test classes",
        "validation classes held out of the seen ones",
        "test samples of the seen classes",
    )
    for values, on in ((tested, unseen), (candidates, held), (encoders, seen)):
        table = build_table(values, protocol="final", study="s")
        assert f"study s; accuracy on {on} in %, mean ± standard deviation over n seeds" in table.caption
        for style in sorted(FORMATS):
            assert on in render(table, style), style
    mixed = build_table([*tested, *candidates, *encoders], protocol="final", study="s")
    assert [line for line in mixed.caption if line.startswith("accuracy on")] == [
        f"accuracy on {unseen}: test accuracy",
        f"accuracy on {held}: validation accuracy",
        f"accuracy on {seen}: seen-class accuracy",
    ]


def test_table_9_names_the_device_of_its_numbers_in_every_format():
    costs = [
        value(row, "Params (M)", 0, None, source="random", kind="profile", device=device)
        for row, device in (("DVTA", "a GPU"), ("SMIE", "a GPU"))
    ]
    table = build_table(costs, protocol="final", study="s", layout=layout(9))
    assert "4090" not in table.title
    assert "costs measured on a GPU" in table.caption
    for style in sorted(FORMATS):
        assert "a GPU" in render(table, style), style
    other = value("PURLS", "Params (M)", 0, None, source="random", kind="profile", device="another")
    mixed = build_table([*costs, other], protocol="final", study="s", layout=layout(9))
    assert [line for line in mixed.caption if line.startswith("costs")] == [
        "costs measured on a GPU: DVTA, SMIE", "costs measured on another: PURLS",
    ]  # fmt: skip
