"""What a person mistypes is one message: the flag, the value, what is allowed and what was probably meant."""

import pytest

from orchestrator.cli.common import counted
from orchestrator.report.figures.catalogue import FIGURES, PAPER, TAKES
from tests.commands import run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "report --study mad",
            "study 'mad': nothing is stored of it (did you mean 'made'?); studies here: made",
        ),
        ("report --table 6", "table 6: no study here has cells of it; studies here: made"),
        ("report --study made --table 6", "table 6: study 'made' has no cells of it; it has: grid"),
        (
            "show zz",
            "trial 'zz': none is stored of that key or name; allowed: the beginning of a key, or a name",
        ),
        (
            "figure curves --metric acuracy --output x.png",
            "--metric acuracy: no done trial has it (did you mean 'accuracy'?)",
        ),
        ("figure ranks --where split --output x.png", "--where 'split': allowed: --where NAME=VALUE"),
        (
            "figure curves --against dvta --output x.png",
            "figure curves: --against does nothing; it takes --table, --rows, --where, --metric",
        ),
        ("figure 6 --where seed=0 --output x.png", "figure 6: --where does nothing; it takes --protocol"),
        (
            "figure confusion --rows gamma --output x.png",
            "figure confusion: --rows does nothing; it takes --trial",
        ),
        ("figure curves --trial zz --output x.png", "figure curves: --trial does nothing"),
        (
            "reproduce quickstart",
            "TABLE quickstart: is no table with published numbers; allowed: 1 to 9, leaderboard, or a spec with tables",
        ),
        ("reproduce gzsl", "TABLE gzsl: is no table with published numbers"),
        ("data prepare bvh . --unit cn", "unit: 'cn' is unknown (did you mean 'cm'?)"),
        ("encode text --dataset cmu --encoder sbrt", "unknown text encoder 'sbrt' (did you mean 'sbert'?)"),
        (
            "encode skeleton --dataset cmu --split hard --encoder shift_gcn --set lrr=1",
            "lrr: shift_gcn has no such setting or option (did you mean 'lr'?); allowed: epochs, batch_size",
        ),
        ("encode skeleton --dataset cmu --split hard --set lr", "--set 'lr': allowed: --set NAME=VALUE"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(store, place, invoke, words, message):
    before = sorted(place.rglob("*"))
    assert invoke(*words.split(), code=2, err=f"error: {message}") == ""
    assert [path for path in sorted(place.rglob("*")) if "dvta.db" not in path.name] == [
        path for path in before if "dvta.db" not in path.name
    ]


def test_nothing_is_copied_where_the_trial_to_register_is_not_there(store, invoke, monkeypatch):
    monkeypatch.setattr("orchestrator.mirror.Mirror.flush", lambda *_, **__: pytest.fail("copied"))
    invoke("mirror", "--register", "model", "zz", code=2, err="error: trial 'zz': none is stored")


def test_a_preparation_that_is_refused_draws_no_progress(place, capsys):
    assert run("data", "prepare", "bhv", ".") == 2
    assert capsys.readouterr().err.startswith("error: kind: 'bhv' is unknown")


def test_every_figure_says_what_it_takes():
    assert set(TAKES) == {*FIGURES, *PAPER}


def test_one_is_counted_as_one():
    assert [counted(n, "study") for n in (0, 1, 2)] == ["0 studies", "1 study", "2 studies"]
    assert [counted(n, "file or folder") for n in (1, 2)] == ["1 file or folder", "2 files or folders"]
    assert [counted(n, "folder of skeletons") for n in (1, 2)] == [
        "1 folder of skeletons",
        "2 folders of skeletons",
    ]
