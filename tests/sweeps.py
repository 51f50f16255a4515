"""Studies that tests sweep in their own process."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.progress import SweepProgress
from orchestrator.execute.inline import InlineExecutor
from orchestrator.settings import Settings
from orchestrator.store import Store
from orchestrator.study.plan import Plan, plan_study
from orchestrator.study.study import Study, read_study
from orchestrator.sweep import run_study


def read(place: Path, text: str) -> Study:
    """Return the study of a spec that is written into a folder."""
    (place / "spec.yaml").write_text(text)
    return read_study(place / "spec.yaml", Settings.load())


def sweep(place: Path, text: str, **flags: bool) -> tuple[Plan, int, Store]:
    """Run what is missing of a spec inline; return its plan, the exit code and the store."""
    study, settings = read(place, text), Settings.load()
    store = Store.open(settings.store)
    plan = plan_study(study, store, **flags)
    code = run_study(study, plan, store, settings, InlineExecutor(0.01), SweepProgress(), mirror=False)
    return plan, code, store
