"""The worked example of docs/bring-your-own.md, run as it stands there."""

import importlib
import re
import sys

import pytest

from dvta.methods import METHODS
from tests.commands import run
from tests.conftest import ROOT, forget_settings

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    blocks = BLOCK.findall((ROOT / "docs/bring-your-own.md").read_text())
    assert [kind for kind, _ in blocks] == ["python", "python", "json", "yaml", "console", "toml"]
    names = ["ridge_map.py", "my_dataset.py", "waves.json", "own.yaml"]
    for name, (_, content) in zip(names, blocks[:4], strict=True):
        assert name.endswith("json") or name in content.splitlines()[0]
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget_settings(monkeypatch)
    yield blocks[5][1]
    for name in ("ridge_map", "my_dataset"):
        sys.modules.pop(name, None)
    for name in ("ridge_map.RidgeMap", "ridge"):
        METHODS._objects.pop(name, None)


def test_the_worked_example_runs_by_dotted_path(example, capsys, minilm):
    assert run("encode", "text", "--dataset", "my_dataset.waves", "--model", minilm) == 0
    assert run("sweep", "own.yaml", "--executor", "inline") == 0
    capsys.readouterr()
    run("report", "--table", "1", "--format", "md")
    table = capsys.readouterr().out
    assert "RidgeMap" in table
    assert "NTU-60 55/5" in table
    assert "(n=1)" in table
    run("report", "--rows", "shrink", "--cols", "dataset", "--format", "md")
    pivoted = capsys.readouterr().out
    assert "my_dataset.waves" in pivoted
    assert "not run" not in pivoted


def test_an_installed_method_is_in_every_table_of_methods(example, tmp_path, capsys):
    info = tmp_path / "ridge_map-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ridge-map\nVersion: 1\n")
    section, line = example.strip().splitlines()
    group = re.search(r'"(.*)"', section).group(1)
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    importlib.invalidate_caches()
    (tmp_path / "installed.yaml").write_text(
        "study: installed\ntables: [1]\nwhere: {method: ridge, dataset: ntu60}\n"
        "defaults: {epochs: 2, train_per_class: 4, test_per_class: 5, shrink: 0.1}\n"
    )
    assert "ridge" in METHODS.names()
    assert run("sweep", "installed.yaml", "--executor", "inline") == 0
    run("report", "--table", "1", "--format", "md")
    assert re.search(r"\| ridge +\| \d", capsys.readouterr().out)


def test_a_path_that_leads_nowhere_is_named(example, tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text("study: w\nmethods: [ridge_map.RidgeMup]\ntables: [1]\n")
    assert run("sweep", "wrong.yaml") == 2
    assert "methods[0] (line 2)" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
