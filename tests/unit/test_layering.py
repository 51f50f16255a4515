"""Who may import whom."""

import ast
from pathlib import Path

from tests.conftest import ROOT

FORBIDDEN = {"orchestrator", "ray", "mlflow", "optuna", "sqlalchemy", "pydantic", "typer"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_the_science_knows_nothing_of_the_machine_room():
    files = sorted((ROOT / "dvta").rglob("*.py"))
    assert len(files) >= 15
    assert {str(f): imported(f) & FORBIDDEN for f in files if imported(f) & FORBIDDEN} == {}


def test_ray_stays_behind_two_modules():
    files = sorted((ROOT / "orchestrator").rglob("*.py"))
    assert len(files) >= 25
    assert [f.name for f in files if "ray" in imported(f)] == ["ray_cluster.py", "ray_tune.py"]
