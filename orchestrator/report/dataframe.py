"""A Python door to what was measured: pandas data frames read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.records import CellValue
from orchestrator.settings import Settings
from orchestrator.store import Store

if TYPE_CHECKING:
    import pandas as pd


def results(study: str | None = None, *, store: str | None = None, epochs: bool = False) -> pd.DataFrame:
    """Return what the trials of a study measured.

    One row a trial: ``key``, ``table``, ``row`` and ``column`` of its first cell, ``state``, ``seed``,
    every name of its configuration (``method``, ``dataset``, ``split``, ``gamma`` …), ``final`` and
    ``best`` (accuracies as fractions: last epoch and true mean; best epoch on the test classes and
    mean of batches), every other result by its name, ``seconds``, ``error`` and ``data_digest``.

    With ``epochs`` one row an epoch of each trial's newest attempt: ``key``, ``epoch`` and a column a
    metric (``loss``, ``accuracy`` …).

    Args:
        study: a study by name; without it, the newest.
        store: URL of the result store; without it, ``DVTA_STORE`` or the default.

    Raises:
        StoreError: there is no store, or no such study in it.
    """
    import pandas as pd

    opened = Store.open(store or Settings.load().store, create=False)
    study_id, _ = opened.find_study(study)
    trials: dict[str, CellValue] = {}
    for value in opened.cells(study_id):
        if value.key is not None:
            trials.setdefault(value.key, value)
    if epochs:
        keys = {v.attempt_id: v.key for v in trials.values() if v.attempt_id is not None}
        rows: list[dict[str, Any]] = [
            {"key": keys[attempt_id], "epoch": row.epoch, **row.metrics}
            for attempt_id, found in opened.epochs_of(keys).items()
            for row in found
        ]
        return pd.DataFrame(rows)
    return pd.DataFrame(
        [
            {
                "key": value.key,
                "table": value.table,
                "row": value.row,
                "column": value.column,
                "state": str(value.state) if value.state else "not run",
                "seed": value.seed,
                **value.config,
                **value.results,
                "final": value.final,
                "best": value.best,
                "seconds": value.seconds,
                "error": value.error,
                "data_digest": value.data_digest,
            }
            for value in trials.values()
        ]
    )
