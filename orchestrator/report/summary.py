"""What a study amounts to, in a few words and numbers: what MLflow shows of it."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence

from orchestrator.records import CellValue, Standing, StudyInfo, StudySummary
from orchestrator.report.render import render
from orchestrator.report.table import Table, build_table
from orchestrator.store import Store
from orchestrator.tables import EXTRA, TABLES, Layout, layout

SEARCH = "search"  # the table of candidates, which have no mean
WRITTEN = {"md": "md", "csv": "csv", "latex": "tex"}  # format -> ending


def summarize(
    store: Store, study_id: int, more: Mapping[str, str] = types.MappingProxyType({})
) -> StudySummary:
    """Return description, numbers and tables of a study, under the protocol ``final``, and ``more`` files."""
    study, standing = store.study(study_id), store.standing(study_id)
    values = store.cells(study_id)
    by_table: dict[str, list[CellValue]] = {}
    for value in values:
        if value.table != SEARCH:
            by_table.setdefault(value.table, []).append(value)
    tables = {
        name: build_table(of, protocol="final", study=study.name, layout=layout_of(name))
        for name, of in by_table.items()
    }
    files = {
        f"tables/{name}.{ending}": render(table, style)
        for name, table in tables.items()
        for style, ending in WRITTEN.items()
    }
    if study.spec:
        files["spec.yaml"] = study.spec
    return StudySummary(
        description=_description(study, standing, tables),
        metrics=_metrics(standing, list(tables.values())),
        files={**files, **more},
        finished=standing.left == 0,
        ended=store.last_end(study_id),
    )


def layout_of(table: str) -> Layout | None:
    """Return the layout of a stored table, None for a study's own grid."""
    return layout(table) if table in (*TABLES, *EXTRA) else None


def _description(study: StudyInfo, standing: Standing, tables: Mapping[str, Table]) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in standing.counts.items())
    return "\n\n".join(
        [
            f"{standing.trials} trials: {counts}",
            *(render(table, "md") for table in tables.values()),
            "What is behind a number: `dvta-orch report --explain ROW COLUMN"
            f" --study {study.name}`; a page of everything: `dvta-orch page --study {study.name}`.",
        ]
    )


def _metrics(standing: Standing, tables: Sequence[Table]) -> dict[str, float]:
    metrics = {f"trials_{state.replace(' ', '_')}": float(n) for state, n in standing.counts.items()}
    means = [
        number.mean
        for table in tables
        for number in table.numbers.values()
        if number.mean is not None and number.quantity == "accuracy"
    ]
    return {**metrics, **({"best_cell_accuracy": max(means)} if means else {})}
