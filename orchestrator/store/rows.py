"""Rows of trials with their attempts, and the records they become."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.records import CellValue
from orchestrator.store.schema import AttemptRow, TrialRow
from orchestrator.trial import GROUPS, State, flat_config, format_value

COLUMNS = (
    "key", "kind", "method", "revision", "dataset", "split", "visual", "text", "seed", "source",
    "evaluate_on", "depends_on", "data_digest",
)  # fmt: skip
PLAIN = tuple(c for c in COLUMNS if c != "key")

# JSON stays text until somebody looks: thousands of trials share a few configurations
_SHARED = tuple(c for c in PLAIN if c not in ("seed", "data_digest"))
IDENTITY = (
    *(getattr(TrialRow, c) for c in _SHARED),
    *(sa.cast(getattr(TrialRow, c), sa.Text) for c in GROUPS),
)
VALUE = (
    TrialRow.key, TrialRow.seed, TrialRow.data_digest, *IDENTITY,
    AttemptRow.state, AttemptRow.id, AttemptRow.final_accuracy, AttemptRow.best_accuracy, AttemptRow.seconds,
    AttemptRow.error_kind, AttemptRow.error, sa.cast(AttemptRow.results, sa.Text),
    sa.cast(AttemptRow.worker, sa.Text),
)  # fmt: skip
_RESULTS = 7 + len(_SHARED) + len(GROUPS)
_STATES = {state.value: state for state in State}


def read_value(row: Any, memo: dict[Any, Any]) -> CellValue:
    """Return the record of one row; equal configurations become the same mapping."""
    table, label, column, missing, key, seed, digest = row[:7]
    identity, rest = row[7:_RESULTS], row[_RESULTS:]
    config: Mapping[str, Any] | None = memo.get(identity)
    if config is None:
        config = memo[identity] = read_config(identity) if key is not None else {}
    state, attempt_id, final, best, seconds, kind, error, results, worker = rest
    done = state == State.DONE
    return CellValue(
        table,
        label,
        column,
        missing,
        key,
        seed,
        digest,
        config,
        _STATES.get(state),
        attempt_id,
        final if done else None,
        best if done else None,
        seconds,
        f"{kind}: {error}" if kind else None,
        results if done else None,
        worker if done else None,
    )


def read_config(identity: Sequence[Any]) -> dict[str, Any]:
    """Return the flat configuration of the columns of ``IDENTITY``."""
    groups = map(_group, identity[len(_SHARED) :])
    return flat_config(dict(zip(_SHARED, identity, strict=False)), *groups)


@functools.lru_cache(maxsize=1024)
def _group(encoded: str) -> Mapping[str, Any]:
    group: Mapping[str, Any] = json.loads(encoded)
    return group


def matches(stored: Any, wanted: Any) -> bool:
    """Return whether a stored value is the wanted one, or is printed as it."""
    if isinstance(stored, int | float) and not isinstance(stored, bool) and isinstance(wanted, str):
        try:
            return bool(float(wanted) == stored)
        except ValueError:
            return False
    return format_value(stored) == format_value(wanted)
