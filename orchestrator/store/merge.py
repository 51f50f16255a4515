"""Adding one store's results to another: trials meet by their key, and what both measured stays visible.

A trial done in both is one trial with two done attempts; the one that started last counts, whichever
store was added to which. Attempts that run or wait to go on stay with the store they are in, and an
attempt that failed after the trial had been done stays out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.errors import StoreError
from orchestrator.store.rows import PLAIN
from orchestrator.store.schema import (
    AttemptRow,
    Base,
    CellRow,
    ClassAccuracy,
    EpochMetric,
    StudyRow,
    TrialRow,
)
from orchestrator.store.selecting import chunks
from orchestrator.store.store import Store
from orchestrator.trial import GROUPS, Kind, State, Trial

BLOCK = 2000  # rows written by one statement
_FINISHED = [state for state in State if state.is_finished]
# what the mirror noted is of the MLflow of another machine
_OWN = ("id", "trial_id", "number", "mlflow_run_id", "mlflow_uri", "mirrored_epoch", "mirrored_state")


@dataclasses.dataclass(frozen=True)
class Conflict:
    """A trial that is done in both stores with different results.

    Attributes:
        here, there: the results in which they differ.
        counts: whether the one from there counts, because it started later.
    """

    key: str
    here: Mapping[str, float | None]
    there: Mapping[str, float | None]
    counts: bool


@dataclasses.dataclass(frozen=True)
class Merged:
    """What a merge found and added.

    Attributes:
        trials, attempts, cells, studies: what is new.
        found_trials, found_attempts: what the other store has.
        conflicts: trials done in both with different results.
        other_specs: studies of both stores whose specs differ; this store's stays.
    """

    trials: int
    attempts: int
    cells: int
    studies: int
    found_trials: int
    found_attempts: int
    conflicts: tuple[Conflict, ...]
    other_specs: tuple[str, ...]


def merge(source: Store, target: Store, study_id: int | None = None, *, origin: str | None = None) -> Merged:
    """Add what ``source`` has and ``target`` has not, in one transaction; again it adds nothing.

    Args:
        study_id: only this study of the source, with its trials.
        origin: is noted in the provenance of the attempts that are added.

    Raises:
        StoreError: the source holds a trial whose key is not that of its configuration.
    """
    with source.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        return target.write(
            "adding results", lambda session: _Merge(connection, session, origin).run(study_id)
        )


class _Merge:
    """One merge between an open source and an open transaction."""

    def __init__(self, source: sa.Connection, target: Session, origin: str | None) -> None:
        self._source, self._target, self._origin = source, target, origin

    def run(self, study_id: int | None) -> Merged:
        """Add everything."""
        trials, new_trials = self._trials(study_id)
        attempts, found, conflicts = self._attempts(trials)
        for table in (EpochMetric, ClassAccuracy):
            self._details(table, attempts)
        studies, other = self._studies(study_id)
        cells = sum(self._cells(old, new, trials) for old, new in studies.items())
        return Merged(
            new_trials,
            len(attempts),
            cells,
            self._new_studies,
            len(trials),
            found,
            tuple(conflicts),
            tuple(other),
        )

    def _trials(self, study_id: int | None) -> tuple[dict[int, int], int]:
        """Return source id -> target id, and how many are new."""
        query = sa.select(*_columns(TrialRow)).order_by(TrialRow.id)
        if study_id is not None:
            query = query.where(
                TrialRow.id.in_(sa.select(CellRow.trial_id).where(CellRow.study_id == study_id))
            )
        ids: dict[int, int] = {}
        new = 0
        for block in _blocks(self._source.execute(query).mappings()):
            rows = [_checked(row) for row in block]
            keys = [row["key"] for row in rows]
            known = self._ids(keys)
            fresh = [{n: v for n, v in row.items() if n != "id"} for row in rows if row["key"] not in known]
            if fresh:
                self._target.execute(sa.insert(TrialRow), fresh)
                known = self._ids(keys)
            ids |= {row["id"]: known[row["key"]] for row in rows}
            new += len(fresh)
        return ids, new

    def _ids(self, keys: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for chunk in chunks(keys):
            query = sa.select(TrialRow.key, TrialRow.id).where(TrialRow.key.in_(chunk))
            found.update((key, i) for key, i in self._target.execute(query))
        return found

    def _attempts(self, trials: Mapping[int, int]) -> tuple[dict[int, int], int, list[Conflict]]:
        """Return source id -> target id of the attempts that are new, how many there were, and conflicts."""
        ids: dict[int, int] = {}
        conflicts: list[Conflict] = []
        count = 0
        for chunk in chunks(trials):
            here = self._existing([trials[i] for i in chunk])
            query = (
                sa.select(*_columns(AttemptRow))
                .where(AttemptRow.trial_id.in_(chunk), AttemptRow.state.in_(_FINISHED))
                .order_by(AttemptRow.started, AttemptRow.id)
            )
            fresh: list[tuple[int, dict[str, Any]]] = []
            for row in map(dict, self._source.execute(query).mappings()):
                count += 1
                mine = here.setdefault(trials[row["trial_id"]], [])
                if any(_same(row, other) for other in mine) or _undoes(row, mine):
                    continue
                values = {n: v for n, v in row.items() if n not in _OWN} | {
                    "trial_id": trials[row["trial_id"]]
                }
                values["number"] = 1 + max((other["number"] for other in mine), default=0)
                values["mirrored_epoch"] = 0
                if self._origin is not None:
                    values["provenance"] = {**row["provenance"], "imported": self._origin}
                conflicts += self._conflict(values, mine)
                mine.append({**values, "added": True})
                fresh.append((row["id"], values))
            if fresh:
                insert = sa.insert(AttemptRow).returning(AttemptRow.id, sort_by_parameter_order=True)
                new = self._target.scalars(insert, [values for _, values in fresh])
                ids |= dict(zip((old for old, _ in fresh), new, strict=True))
        return ids, count, conflicts

    def _existing(self, trial_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
        """Return the attempts of the target at trials, oldest first, with the key of their trial."""
        query = (
            sa.select(*_columns(AttemptRow), TrialRow.key, TrialRow.kind)
            .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
            .where(AttemptRow.trial_id.in_(trial_ids))
            .order_by(AttemptRow.started, AttemptRow.id)
        )
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self._target.execute(query).mappings():
            found.setdefault(row["trial_id"], []).append(dict(row))
        return found

    def _conflict(self, new: Mapping[str, Any], mine: list[dict[str, Any]]) -> Iterator[Conflict]:
        """Yield the conflict of a done attempt with the one that counts here until now."""
        done = [a for a in mine if a["state"] == State.DONE and "added" not in a]
        # a measured speed is another every time
        if new["state"] != State.DONE or not done or done[-1]["kind"] == Kind.PROFILE:
            return
        last = done[-1]
        names = [
            n
            for n in dict.fromkeys((*last["results"], *new["results"]))
            if last["results"].get(n) != new["results"].get(n)
        ]
        if names:
            here, there = ({n: a["results"].get(n) for n in names} for a in (last, new))
            yield Conflict(last["key"], here, there, bool(new["started"] > last["started"]))

    def _details(self, table: type[EpochMetric] | type[ClassAccuracy], attempts: Mapping[int, int]) -> None:
        """Copy epochs or classes of the attempts that are new."""
        for chunk in chunks(attempts):
            query = sa.select(*_columns(table)).where(table.attempt_id.in_(chunk))
            for block in _blocks(self._source.execute(query).mappings()):
                rows = [{**row, "attempt_id": attempts[row["attempt_id"]]} for row in block]
                self._target.execute(sa.insert(table), rows)

    def _studies(self, study_id: int | None) -> tuple[dict[int, int], list[str]]:
        """Return source id -> target id, and the names of studies whose specs differ."""
        query = sa.select(*_columns(StudyRow)).order_by(StudyRow.id)
        if study_id is not None:
            query = query.where(StudyRow.id == study_id)
        ids: dict[int, int] = {}
        other: list[str] = []
        self._new_studies = 0
        for row in self._source.execute(query).mappings():
            if not re.fullmatch(r"[\w.-]+", row["name"]):
                raise StoreError(f"study {row['name']!r}: is no name of a study")
            mine = self._target.scalar(sa.select(StudyRow).where(StudyRow.name == row["name"]))
            if mine is None:
                mine = StudyRow(
                    **{n: row[n] for n in ("name", "spec", "arguments", "updated")}, mlflow_run_id=None
                )
                self._target.add(mine)
                self._new_studies += 1
            else:
                if mine.spec != row["spec"]:
                    other.append(row["name"])
                mine.arguments = _with_splits(mine.arguments, row["arguments"])
            self._target.flush()
            ids[row["id"]] = mine.id
        return ids, other

    def _cells(self, old: int, new: int, trials: Mapping[int, int]) -> int:
        """Add the cells of a study that are new; a reason for an empty cell goes where the cell is filled."""
        place = (CellRow.table_name, CellRow.row, CellRow.col)
        mine = {
            tuple(row)
            for row in self._target.execute(
                sa.select(*place, CellRow.trial_id).where(CellRow.study_id == new)
            )
        }
        query = sa.select(*place, CellRow.trial_id, CellRow.missing).where(CellRow.study_id == old)
        found = [
            (*at, None if trial is None else trials[trial], missing)
            for *at, trial, missing in self._source.execute(query.order_by(CellRow.id))
        ]
        filled = {row[:3] for row in mine if row[3] is not None} | {r[:3] for r in found if r[3] is not None}
        emptied = {row[:3] for row in mine if row[3] is None} & filled
        for table, row, column in emptied:
            same = (CellRow.table_name == table, CellRow.row == row, CellRow.col == column)
            self._target.execute(
                sa.delete(CellRow).where(CellRow.study_id == new, CellRow.trial_id.is_(None), *same)
            )
        fresh = [r for r in found if r[:4] not in mine and (r[3] is not None or r[:3] not in filled)]
        names = ("table_name", "row", "col", "trial_id", "missing")
        for block in _blocks({"study_id": new, **dict(zip(names, r, strict=True))} for r in fresh):
            self._target.execute(sa.insert(CellRow), block)
        return len(fresh)


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's row whose key is that of its configuration.

    Raises:
        StoreError: it is not: the content was changed.
    """
    if Trial(**{name: row[name] for name in (*PLAIN, *GROUPS)}).key != row["key"]:
        raise StoreError(f"trial {str(row['key'])[:16]}: its key is not that of its configuration")
    return dict(row)


def _same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows are the same finished attempt: it began and ended at the same moments."""
    return all(row[name] == other[name] for name in ("started", "finished", "state"))


def _undoes(row: Mapping[str, Any], mine: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an attempt that failed or was pruned came after the trial had been done."""
    if row["state"] == State.DONE:
        return False
    return any(a["state"] == State.DONE and a["started"] <= row["started"] for a in mine)


def _with_splits(mine: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's arguments with every definition that both have of own splits."""
    splits = {name: list(defined) for name, defined in mine.get("splits", {}).items()}
    for name, defined in other.get("splits", {}).items():
        known = splits.setdefault(name, [])
        known += [classes for classes in defined if classes not in known]
    return {**mine, **({"splits": splits} if splits else {})}


def _columns(table: type[Base]) -> list[Any]:
    """Return the columns of a table under the names of its attributes."""
    return [getattr(table, a.key).label(a.key) for a in sa.inspect(table).column_attrs]


def _blocks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    block: list[Any] = []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
