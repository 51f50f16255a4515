"""Studies that tests sweep in their own process."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.progress import SweepProgress
from orchestrator.execute.inline import InlineExecutor
from orchestrator.execute.protocol import Executor
from orchestrator.settings import Settings, sqlite_url
from orchestrator.store import Store
from orchestrator.study.plan import Plan, plan_study
from orchestrator.study.study import Study, read_study
from orchestrator.sweep import run_study
from tests.conftest import forget_settings
from tests.factories import make_skeletons


def stand_in(place: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a folder the working one, with small skeletons of CMU in its data root."""
    forget_settings(patch)
    patch.chdir(place)
    (place / "data").mkdir()
    make_skeletons(place / "data", per_class=2)


def settings_of(folder: Path, runs: str = "runs") -> Settings:
    """Return settings with data, runs, store and MLflow in a folder, whatever the environment says."""
    there = folder / runs
    return Settings(
        folder / "data", str(there), sqlite_url(there / "dvta.db"), sqlite_url(there / "mlflow.db")
    )


def read(place: Path, text: str, settings: Settings | None = None) -> Study:
    """Return the study of a spec that is written into a folder."""
    (place / "spec.yaml").write_text(text)
    return read_study(place / "spec.yaml", settings or Settings.load())


def sweep(
    place: Path,
    text: str,
    settings: Settings | None = None,
    executor: Executor | None = None,
    **flags: bool,
) -> tuple[Plan, int, Store]:
    """Run what is missing of a spec, inline without an executor; return its plan, the exit code and the store."""
    settings = settings or Settings.load()
    study, store = read(place, text, settings), Store.open(settings.store)
    plan = plan_study(study, store, **flags)
    display = SweepProgress(Console(quiet=True))
    code = run_study(study, plan, store, settings, executor or InlineExecutor(0.01), display, mirror=False)
    return plan, code, store
