"""Which trials fit what is asked for, the newest first; fast for a hundred thousand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from orchestrator.records import CellValue
from orchestrator.store.database import Database
from orchestrator.store.filters import Filter, condition, equal, shown_state
from orchestrator.store.rows import COLUMNS, IDENTITY, VALUE, read_config, read_value
from orchestrator.store.schema import AttemptRow, CellRow, TrialRow
from orchestrator.trial import GROUPS, State

CHUNK = 500
_Id = TypeVar("_Id", str, int)


class Selecting:
    """The part of :class:`~orchestrator.store.Store` that lists trials."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def trials(self, where: Mapping[str, Any] | None = None) -> list[CellValue]:
        """Return stored trials with their newest attempt, in the order in which they were stored.

        Args:
            where: configuration name, ``key`` (its beginning) or ``state`` -> value, or the text a
                value is printed as.
        """
        return self._select(equal(where or {}), TrialRow.id)[1]

    def newest_trials(
        self, filters: Sequence[Filter] = (), *, study_id: int | None = None, limit: int | None = None
    ) -> tuple[int, list[CellValue]]:
        """Return how many trials (of a study) fit, and those of them that were attempted last, newest first.

        Trials that were never attempted come last. One whose lease ran out is ``interrupted``.
        """
        order = (AttemptRow.id.desc().nulls_last(), TrialRow.id.desc())
        return self._select(filters, *order, study_id=study_id, limit=limit)

    def _select(
        self, filters: Sequence[Filter], *order: Any, study_id: int | None = None, limit: int | None = None
    ) -> tuple[int, list[CellValue]]:
        now = self._db.read(self._db.now)
        state = shown_state(now)
        wanted = [(each, condition(each, state)) for each in filters]
        rest = [each for each, clause in wanted if clause is None]

        def query(*columns: Any) -> Any:
            found = sa.select(*columns).select_from(TrialRow)
            found = found.outerjoin(AttemptRow, AttemptRow.id == newest_attempt(TrialRow.id))
            if study_id is not None:
                mine = sa.select(CellRow.trial_id).where(CellRow.study_id == study_id)
                found = found.where(TrialRow.id.in_(mine))
            return found.where(*(clause for _, clause in wanted if clause is not None))

        value = tuple(state if column is AttemptRow.state else column for column in VALUE)
        whole = (sa.literal(""), sa.literal(""), sa.literal(""), sa.null(), *value)
        memo: dict[Any, Any] = {}
        if not rest:
            rows = self._rows(query(*whole).order_by(*order).limit(limit))
            total = (
                len(rows) if limit is None or len(rows) < limit else self._rows(query(sa.func.count()))[0][0]
            )
            return total, [read_value(row, memo) for row in rows]
        ids = self._fitting(rest, query(TrialRow.id, TrialRow.seed, *IDENTITY).order_by(*order))
        found: dict[int, CellValue] = {}
        for chunk in chunks(ids[:limit]):
            for row in self._rows(query(TrialRow.id, *whole).where(TrialRow.id.in_(chunk))):
                found[row[0]] = read_value(row[1:], memo)
        return len(ids), [found[i] for i in ids[:limit] if i in found]

    def _fitting(self, filters: Sequence[Filter], query: Any) -> list[int]:
        """Return the ids of the trials whose configuration fulfils all filters, in the order of the query."""
        seeds = [each for each in filters if each.name == "seed"]
        others = [each for each in filters if each.name != "seed"]
        fits: dict[Any, bool] = {}  # thousands of trials share a few configurations
        ids = []
        for row_id, seed, *identity in self._rows(query):
            same = tuple(identity)
            if same not in fits:
                config = read_config(same)
                fits[same] = all(each.holds(config.get(each.name)) for each in others)
            if fits[same] and all(each.holds(seed) for each in seeds):
                ids.append(row_id)
        return ids

    def configured_names(self) -> set[str]:
        """Return every name that a stored configuration has."""
        groups = tuple(sa.cast(getattr(TrialRow, group), sa.Text) for group in GROUPS)
        rows = self._rows(sa.select(*groups).distinct())
        return {*COLUMNS, *(name for row in rows for text in row for name in json.loads(text))}

    def _rows(self, query: Any) -> list[Any]:
        """Read plain rows, past the ORM: there may be a hundred thousand."""
        return self._db.read(lambda session: list(session.connection().execute(query).all()))

    def _read(self, query: Any) -> list[Any]:
        return self._db.read(lambda session: list(session.execute(query)))


def newest_attempt(trial_id: Any, state: State | None = None) -> Any:
    """Return the subquery of the id of the attempt that started last, of that state where one is given."""
    attempt = aliased(AttemptRow)
    query = sa.select(attempt.id).where(attempt.trial_id == trial_id)
    query = query if state is None else query.where(attempt.state == state)
    return query.order_by(attempt.started.desc(), attempt.id.desc()).limit(1).scalar_subquery()


def chunks(keys: Iterable[_Id]) -> Iterator[list[_Id]]:
    """Yield distinct keys or ids in lists short enough for one statement."""
    iterator = iter(dict.fromkeys(keys))
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
