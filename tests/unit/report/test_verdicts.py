"""What is said of published numbers, and what `reproduce` ends with."""

import csv
import dataclasses
import io
import json
import math

import pytest

from orchestrator.cli.reproduce import EXPERIMENTS, settings_of
from orchestrator.records import Slot
from orchestrator.report.judging.verdicts import (
    INSIDE,
    NOT_COMPARABLE,
    OUTSIDE,
    exit_code,
    foreseen,
    show,
    summary,
    verdicts,
)
from orchestrator.report.table import build_table
from orchestrator.spec.load import load_spec
from orchestrator.tables import layout
from orchestrator.trial import Trial
from tests.cell_values import value
from tests.commands import run


def as_published(cell):
    """Say that a cell is trained as the published one was."""
    return None


def judged(shape, values, settings=as_published):
    best, final = (build_table(values, protocol=p, study="s", layout=shape) for p in ("best", "final"))
    return verdicts(shape, best, final, settings)


def cells(shape, spread=0.0, shift=0.0, seeds=3, **more):
    """Return trials of every cell that measured the paper's number, best being 0.1 above final."""
    return [
        value(
            c.row, c.column, s, c.paper / 100 + shift - 0.1 + spread * (s - 1), c.configs[0]["split"], **more
        )
        for c in shape.cells()
        for s in range(seeds)
    ]


def test_a_number_is_inside_where_one_more_seed_would_fall():
    found = judged(layout(5), cells(layout(5), spread=0.02))
    assert len(found) == 24
    assert {v.verdict for v in found} == {INSIDE}
    first = found[0]
    # t of two degrees of freedom, s = 2 points, three seeds
    half = 4.30265 * 2.0 * math.sqrt(1 + 1 / 3)
    assert (first.low, first.high) == pytest.approx((first.best - half, first.best + half), abs=0.01)
    assert first.final == pytest.approx(first.best - 10)
    assert [v.note for v in found if v.note] == [
        "Tables 1 and 6 and the text print 78.14 for this configuration"
    ]
    assert exit_code(found) == 0


def test_a_number_outside_is_told_by_the_exit_code():
    found = judged(layout(5), cells(layout(5), spread=0.001, shift=0.05))
    assert {v.verdict for v in found} == {OUTSIDE}
    assert exit_code(found) == 4
    assert summary(found) == "24 published numbers: 0 inside, 24 outside, 0 not comparable"
    # seeds that agree to the last digit leave the rounding of print
    assert {v.verdict for v in judged(layout(5), cells(layout(5)))} == {INSIDE}


WHY = {
    "simulated": ({"source": "simulated"}, None, "simulated features"),
    "one seed": ({"seeds": 1}, None, "one seed says nothing of where another would fall"),
    "settings": ({}, "trained with epochs of the spec, not as published", "trained with epochs of the spec"),
}


@pytest.mark.parametrize("reason", sorted(WHY))
def test_what_does_not_compare_says_why(reason):
    how, settings, why = WHY[reason]
    found = judged(layout(5), cells(layout(5), spread=0.02, **how), lambda cell: settings)
    assert {v.verdict for v in found} == {NOT_COMPARABLE}
    assert all(v.why.startswith(why) for v in found)
    assert all(v.low is None and v.best is not None for v in found)
    assert exit_code(found) == 5


def test_seeds_that_lack_and_data_that_lack_are_told():
    values = cells(layout(5), spread=0.02)
    first, second = layout(5).cells()[:2]
    values = [v for v in values if (v.row, v.column) != (second.row, second.column)]
    values.append(value(second.row, second.column, None, None, missing="no features of ntu60 here"))
    values = [
        v._replace(final=None, best=None, state=None)
        if (v.row, v.column, v.seed) == (first.row, first.column, 2)
        else v
        for v in values
    ]
    found = judged(layout(5), values)
    assert found[0].why == "2 of 3 seeds are measured"
    assert found[1].why == "no features of ntu60 here"
    assert {v.verdict for v in found[2:]} == {INSIDE}
    # the other cells are not of this study: they are no published numbers of it
    assert len(judged(layout(5), values[:3])) == 1


def test_costs_compare_as_they_are_printed_and_speeds_never():
    shape = layout(9)
    values = [
        value(
            c.row, c.column, 0, None if c.quantity == "accuracy" else 0.0, "48/12", kind="profile",
            results={c.quantity: (c.paper or 1.0) / c.scale},
        )
        for c in shape.cells()
    ]  # fmt: skip
    found = {
        (v.row, v.column): v for v in judged(shape, values, lambda cell: "trained with epochs of the spec")
    }
    assert len(found) == 12
    assert found["DVTA", "Params (M)"].verdict == INSIDE
    assert found["DVTA", "samples/s, batch 1"].why == "another device and batch size"
    assert found["DVTA", "NTU-60 48/12"].why == "trained with epochs of the spec"


def test_what_may_not_be_subtracted_on_the_leaderboard_is_not_comparable():
    shape = layout("leaderboard")
    values = [value(c.row, c.column, s, 0.5 + 0.01 * s) for c in shape.cells() for s in range(3)]
    found = judged(shape, values)
    assert len(found) == 71
    whys = {v.row: v.why for v in found if v.column.endswith("ZSL")}
    assert whys["SA-DVAE"] == "other texts, or another protocol; see the note of the table"
    assert whys["DVTA"] is None


def test_every_format_holds_every_verdict():
    found = judged(layout(5), cells(layout(5), spread=0.02))
    for style in ("rich", "md", "latex", "html"):
        text = show(found, "s", style)
        assert text.count("inside") >= 24, style
    assert len(list(csv.DictReader(io.StringIO(show(found, "s", "csv"))))) == 24
    loaded = json.loads(show(found, "s", "json"))
    assert loaded["counts"] == {"inside": 24, "outside": 0, "not comparable": 0}
    assert loaded["verdicts"][0] == dataclasses.asdict(found[0])
    simulated = judged(layout(5), cells(layout(5), source="simulated"))
    assert "(simulated)" in show(simulated, "s", "md").splitlines()[0]
    assert "\nSIMULATED data" in show(simulated, "s", "rich")


def test_what_could_be_compared_is_known_before_anything_runs():
    def slots(source):
        return [
            Slot(
                "table5", c.row, c.column,
                Trial("dvta", 1, "ntu60", "55/5", "v", "t", s, source, "d", {}, {"epochs": 1}),
            )
            for c in layout(5).cells()
            for s in range(2)
        ]  # fmt: skip

    assert foreseen(layout(5), slots("real"), 2, as_published) == {"": 24}
    assert foreseen(layout(5), slots("simulated"), 2, as_published) == {"simulated features": 24}
    assert sum(foreseen(layout(5), slots("real"), 1, as_published).values()) == 24
    assert "" not in foreseen(layout(5), slots("real"), 1, as_published)
    assert foreseen(layout(5), [], 2, as_published) == {}


SPEC = """
study: small
tables: [5]
where: {dataset: [ntu60], split: [55/5]}
seeds: 2
defaults: {epochs: 1, train_per_class: 2, test_per_class: 2}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVTA_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVTA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DVTA_DATA", str(tmp_path / "data"))
    (tmp_path / "small.yaml").write_text(SPEC)
    return tmp_path


def test_stand_in_data_reproduce_nothing_and_say_so(place, capsys):
    assert run("reproduce", "small.yaml", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "table5: 6 published numbers not comparable: simulated features" in out
    assert not (place / "runs").exists()
    command = ("reproduce", "small.yaml", "--executor", "inline", "--output", "verdicts.json")
    assert run(*command) == 5
    out = capsys.readouterr().out
    assert "6 published numbers: 0 inside, 0 outside, 6 not comparable" in out
    found = json.loads((place / "verdicts.json").read_text())["verdicts"]
    assert {v["why"] for v in found} == {"simulated features"}
    assert all(v["n"] == 2 and v["best"] is not None for v in found)
    # again: nothing is trained, the answer is the same
    assert run(*command) == 5
    assert "0 to run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", None),
        ("defaults: {preset: official, text: sbert, train_per_class: 3}", None),
        ("defaults: {epochs: 3}", "trained with epochs of the spec, not as published"),
        ("profile: quick\nprofiles: {quick: {lr: 0.1}}", "trained with lr of the spec, not as published"),
        ("profile: paper\nprofiles: {quick: {lr: 0.1}, paper: {}}", None),
        (
            "overrides: [{when: {dataset: ntu60}, set: {epochs: 1, lr: 0.1}}]",
            "trained with epochs, lr of the spec, not as published",
        ),
        (
            "defaults: {lr: 0.1}\noverrides: [{when: {dataset: ntu60}, set: {lr: 0.2, text: mpnet}}]",
            "trained with lr of the spec, not as published",
        ),
        (
            "profile: paper\nprofiles: {quick: {}, paper: {}}\n"
            "overrides: [{when: {profile: quick}, set: {lr: 0.1}}]",
            None,
        ),
        ("overrides: [{when: {method: cada_vae, dataset: ntu120}, set: {latent: 200}}]", None),
        ("defaults: {train: end_to_end}", "trained with train of the spec, not as published"),
        ("defaults: {train: pre_extracted}", None),
        ("precision: bf16", "trained with precision of the spec, not as published"),
        (
            "profile: a\nprofiles: {a: {precision: auto}}",
            "trained with precision of the spec, not as published",
        ),
        ("precision: fp32", None),
    ],
)
def test_settings_that_are_not_the_published_ones_are_seen(tmp_path, lines, why):
    (tmp_path / "s.yaml").write_text(f"study: s\ntables: [5]\n{lines}\n")
    said = settings_of(load_spec(tmp_path / "s.yaml"))
    assert {said(cell) for cell in layout(5).cells() if cell.configs[0]["dataset"] == "ntu60"} == {why}


def test_only_the_numbers_that_an_override_touches_are_not_comparable(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "study: s\ntables: [5, 8]\noverrides: [{when: {dataset: ntu120}, set: {lr: 0.1, tau: 0.3}},"
        " {when: {dataset: ntu60, loss: kld}, set: {tau: 0.2}}, {when: {tau: 0.07}, set: {epochs: 1}}]\n"
    )
    said = settings_of(load_spec(tmp_path / "s.yaml"))
    why = {cell.configs[0]["dataset"]: said(cell) for cell in layout(5).cells()}
    assert why == {"ntu60": None, "ntu120": "trained with lr, tau of the spec, not as published"}
    # Table 8 has a row for each tau: what a rule sets is not what is trained there
    why = {cell.configs[0].get("tau"): said(cell) for cell in layout(8).cells()}
    assert {tau for tau, reason in why.items() if reason} == {0.07}


def test_the_shipped_experiments_are_trained_as_published():
    specs = [(path, load_spec(path)) for path in sorted(EXPERIMENTS.glob("*.yaml")) if path.stem != "base"]
    published = [path for path, spec in specs if spec.tables and "paper" in spec.profiles]
    assert len(published) == 15
    for path in published:
        spec = load_spec(path, profile="paper")
        said = settings_of(spec)
        assert {said(cell) for n in spec.tables for cell in layout(n).cells()} == {None}, path


def test_what_cannot_be_reproduced_is_refused(place, capsys):
    (place / "none.yaml").write_text("study: none\ngrid: {method: [dvta], dataset: [ntu60], split: [55/5]}\n")
    for arguments, message in (
        (("5",), "experiments/table5.yaml is not here"),
        (("10",), "TABLE 10: is no table with published numbers"),
        (("none.yaml",), "study 'none' has no tables; allowed: a spec with tables"),
        (("missing.yaml",), "missing.yaml"),
        (("small.yaml", "--output", "x.doc"), "says no format"),
    ):
        assert run("reproduce", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not (place / "runs").exists()
