"""Who may import whom: the order of the rooms is the order of the pipeline."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FORBIDDEN = {"orchestrator", "ray", "mlflow", "optuna", "sqlalchemy", "pydantic", "typer"}
GROUND = {"trial", "names", "records", "errors", "settings", "provenance", "sqlite_files"}
#: room -> the rooms it may import; the ground floor and dvta are open to all of them
ALLOWED = {
    "ground": set(),
    "tables": set(),
    "store": set(),
    "spec": {"tables"},
    "study": {"spec", "tables", "store"},
    "search": {"spec", "study", "tables", "store"},
    "execute": {"spec", "study", "store"},
    "mirror": {"store"},
    "report": {"tables", "store", "search", "execute"},
    "sweep": {"spec", "study", "search", "execute", "store", "mirror", "report"},
    "cli": {"tables", "store", "spec", "study", "search", "execute", "mirror", "report", "sweep"},
}
RAY = {"execute/ray_cluster.py", "execute/ray_hooks.py", "execute/ray_tune.py"}
LIGHT = (
    "orchestrator.store",
    "orchestrator.tables",
    "orchestrator.spec.load",
    "orchestrator.study.plan",
    "orchestrator.sweep",
    "orchestrator.report.table",
    "orchestrator.report.render",
    "orchestrator.report.explain",
    "orchestrator.cli.main",
    "dvta",
)
HEAVY = ("torch", "ray", "mlflow", "optuna", "matplotlib", "pandas")
NUMPY_FREE = (
    "orchestrator.report.table",
    "orchestrator.report.terminal",
    "orchestrator.store",
    "orchestrator.cli.main",
)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, top: bool = False) -> set[str]:
    """Return the modules a file imports; with ``top`` only those that importing it imports."""
    names = set()
    tree = ast.parse(path.read_text())
    for node in ast.iter_child_nodes(tree) if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "orchestrator" or len(parts) == 1:
        return None
    return "ground" if parts[1] in GROUND else parts[1]


def test_the_science_knows_nothing_of_the_machine_room():
    files = sources("dvta")
    assert len(files) >= 45
    found = {str(f): {n.split(".")[0] for n in imports(f)} & FORBIDDEN for f in files}
    assert {f: names for f, names in found.items() if names} == {}


def test_every_arrow_between_rooms_is_an_allowed_one():
    files = [f for f in sources("orchestrator") if f != ROOT / "orchestrator/__init__.py"]
    assert {room(module(f)) for f in files} == set(ALLOWED)
    against = []
    for file in files:
        here = room(module(file))
        for name in imports(file):
            there = room(name)
            if there in (None, "ground", here) or there not in ALLOWED:
                continue
            if there not in ALLOWED[here]:
                against.append(f"{module(file)} ({here}) imports {name} ({there})")
    assert against == []


@pytest.mark.parametrize("package", ["orchestrator", "dvta"])
def test_there_is_no_import_circle(package):
    files = sources(package)
    known = {module(f) for f in files}
    graph = {module(f): (imports(f, top=True) & known) - {module(f)} for f in files}
    # a package's own front imports what it offers
    fronts = {module(f) for f in files if f.name == "__init__.py"}
    graph = {m: needed if m in fronts else needed - {m.rpartition(".")[0]} for m, needed in graph.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert len(order) == len(files)


def test_ray_stays_behind_few_modules():
    base = ROOT / "orchestrator"
    found = {
        str(f.relative_to(base))
        for f in sources("orchestrator")
        if any(n.split(".")[0] == "ray" for n in imports(f))
    }
    assert found == RAY


def test_modules_and_functions_stay_small():
    files = sources("orchestrator") + sources("dvta")
    assert len(files) >= 110
    long_modules = {module(f): n for f in files if (n := len(f.read_text().splitlines())) > 400}
    assert long_modules == {}
    long_bodies = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                documented = isinstance(node.body[0], ast.Expr) and len(node.body) > 1
                length = node.end_lineno - node.body[documented].lineno + 1
                if length > 50:
                    long_bodies[f"{module(file)}.{node.name}"] = length
    assert long_bodies == {}
    assert len(list((ROOT / "orchestrator").glob("*.py"))) <= 12


@pytest.mark.parametrize("name", LIGHT)
def test_reading_results_costs_no_pytorch(name):
    code = f"import sys, {name}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", NUMPY_FREE)
def test_status_and_report_cost_no_numpy(name):
    code = f"import sys, {name}; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_workers_on_ray_are_asked_for_before_pytorch_and_mlflow_are_imported():
    """Tune would import MLflow before the first trial, unless its own form of it is there already."""
    asked = ("torch", "mlflow", "ray.air.integrations.mlflow")
    code = f"import sys, orchestrator.execute.ray_tune; print(*(m for m in {asked!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ray.air.integrations.mlflow"]
