"""What reports and people ask of the store: studies, cells, trials, epochs. Only reads."""

from __future__ import annotations

import collections
import json
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from dvta.errors import did_you_mean
from orchestrator.errors import StoreError
from orchestrator.names import Named, group, names
from orchestrator.records import UNFINISHED, AttemptInfo, CellValue, EpochRow, Standing, StudyInfo
from orchestrator.store.database import Database
from orchestrator.store.rows import IDENTITY, PLAIN, VALUE, read_config, read_value
from orchestrator.store.schema import AttemptRow, CellRow, ClassAccuracy, EpochMetric, StudyRow, TrialRow
from orchestrator.store.selecting import Selecting, chunks, newest_attempt
from orchestrator.trial import GROUPS, State, Trial

PLACES = 100  # six values each: an SQL statement takes so many


class Reading(Selecting):
    """The reading half of :class:`~orchestrator.store.Store`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        # of every method, kind and source the configuration of the trial stored first, which never changes
        self._first: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def revision(self) -> str | None:
        """Return the revision of the store's schema."""
        return self._db.revision()

    def check_place(self) -> None:
        """Check that the store is still where it was opened.

        Raises:
            StoreError: its file was deleted, or another took its place.
        """
        self._db.check_place()

    def check_whole(self) -> None:
        """Check that every page of an SQLite file can be read.

        Raises:
            StoreError: the file is damaged.
        """
        self._db.check_whole()

    # --- studies ------------------------------------------------------------------------------

    def studies(self) -> list[tuple[int, str, float]]:
        """Return (id, name, last update) of every study, the newest first."""
        query = sa.select(StudyRow.id, StudyRow.name, StudyRow.updated).order_by(StudyRow.updated.desc())
        return [tuple(row) for row in self._read(query)]

    def find_study(self, name: str | None = None, table: str | None = None) -> tuple[int, str]:
        """Return id and name of a study, by default the newest (that has the table).

        Raises:
            StoreError: there is none.
        """
        query = sa.select(StudyRow.id, StudyRow.name).order_by(StudyRow.updated.desc())
        if name:
            query = query.where(StudyRow.name == name)
        if table:
            query = query.where(
                StudyRow.id.in_(sa.select(CellRow.study_id).where(CellRow.table_name == table))
            )
        found = self._read(query.limit(1))
        if not found:
            raise StoreError(self._nothing(name, table))
        return found[0][0], found[0][1]

    def _nothing(self, name: str | None, table: str | None) -> str:
        """Return why no study is what was asked for."""
        ids = {study: study_id for study_id, study, _ in self.studies()}
        here = f"studies here: {', '.join(ids) or 'none'}"
        if name and name not in ids:
            return f"study {name!r}: nothing is stored of it{did_you_mean(name, ids)}; {here}"
        if table is None:
            return f"nothing is stored of any study; {here}"
        shown = table.removeprefix("table")
        if not name:
            return f"table {shown}: no study here has cells of it; {here}"
        have = ", ".join(each.removeprefix("table") for each in self.tables(ids[name])) or "none"
        return f"table {shown}: study {name!r} has no cells of it; it has: {have}"

    def tables(self, study_id: int) -> list[str]:
        """Return the names of the tables whose cells a study has, ``grid`` among them."""
        query = sa.select(CellRow.table_name).where(CellRow.study_id == study_id).distinct()
        return sorted(name for (name,) in self._read(query))

    def own_splits(self, name: str) -> list[tuple[str | int, ...]]:
        """Return the unseen classes, by name or id, that specs have given a split of their own of this name."""
        found = [
            row[0] for row in self._rows(sa.select(StudyRow.arguments).order_by(StudyRow.updated.desc()))
        ]
        defined = (tuple(classes) for a in found for classes in a.get("splits", {}).get(name, []))
        return list(dict.fromkeys(defined))

    def study(self, study_id: int) -> StudyInfo:
        """Return how a study was swept."""
        query = sa.select(StudyRow.name, StudyRow.spec, StudyRow.arguments, StudyRow.updated)
        ((name, spec, arguments, updated),) = self._read(query.where(StudyRow.id == study_id))
        return StudyInfo(name, spec, arguments, updated)

    def standing(self, study_id: int) -> Standing:
        """Return how the trials of a study stand, and what is left of those that run."""
        mine = sa.select(CellRow.trial_id).where(CellRow.study_id == study_id).distinct()
        last = (
            sa.select(sa.func.max(EpochMetric.epoch))
            .where(EpochMetric.attempt_id == AttemptRow.id)
            .scalar_subquery()
        )
        query = (
            sa.select(
                AttemptRow.state, AttemptRow.lease_until, AttemptRow.owner,
                sa.case((AttemptRow.state == State.DONE, 0), else_=last),
                TrialRow.key, TrialRow.method, TrialRow.dataset, sa.cast(TrialRow.training, sa.Text),
            )
            .select_from(TrialRow)
            .outerjoin(AttemptRow, AttemptRow.id == newest_attempt(TrialRow.id))
            .where(TrialRow.id.in_(mine))
        )  # fmt: skip
        pace = self.seconds_per_epoch()
        now, rows = self._now_and(query)
        counts: collections.Counter[str] = collections.Counter()
        running: list[tuple[str, int, int, str]] = []
        seconds: float | None = 0.0
        for state, until, owner, epoch, key, method, dataset, training in rows:
            shown = "to run" if state is None else str(state)
            if state == State.RUNNING and until < now:
                shown = State.INTERRUPTED.value
            counts[shown] += 1
            epochs = int(json.loads(training).get("epochs") or 0)
            if shown == State.RUNNING:
                running.append((key, epoch or 0, epochs, owner.partition("/")[0]))
            if shown in UNFINISHED and seconds is not None:
                each = pace.get((method, dataset))
                seconds = None if each is None else seconds + each * (epochs - (epoch or 0))
        called = self.names([key for key, *_ in running])
        return Standing(
            len(rows),
            counts,
            tuple((key, called[key], epoch, epochs, host) for key, epoch, epochs, host in running),
            seconds,
        )

    def last_end(self, study_id: int) -> float:
        """Return when the last attempt of a study ended, in Unix seconds; 0 without any."""
        mine = sa.select(CellRow.trial_id).where(CellRow.study_id == study_id)
        query = sa.select(sa.func.max(AttemptRow.finished)).where(AttemptRow.trial_id.in_(mine))
        return float(self._read(query)[0][0] or 0)

    # --- trials -------------------------------------------------------------------------------

    def results(self, keys: Collection[str]) -> dict[str, dict[str, float]]:
        """Return the results of the newest done attempt of every trial of ``keys``."""
        found: dict[str, dict[str, float]] = {}
        for chunk in chunks(keys):
            query = (
                sa.select(TrialRow.key, AttemptRow.results)
                .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
                .where(TrialRow.key.in_(chunk), AttemptRow.state == State.DONE)
                .order_by(AttemptRow.started, AttemptRow.id)
            )
            found.update(dict(self._read(query)))
        return found

    def cells(self, study_id: int, table: str | None = None) -> list[CellValue]:
        """Return every trial of a study's cells (of one table), in the order of the layout."""
        # a retry that is running does not hide what was measured before it
        newest = sa.func.coalesce(
            newest_attempt(CellRow.trial_id, State.DONE), newest_attempt(CellRow.trial_id)
        )
        query = (
            sa.select(CellRow.table_name, CellRow.row, CellRow.col, CellRow.missing, *VALUE)
            .select_from(CellRow)
            .outerjoin(TrialRow, TrialRow.id == CellRow.trial_id)
            .outerjoin(AttemptRow, AttemptRow.id == newest)
            .where(CellRow.study_id == study_id)
            .order_by(CellRow.id)
        )
        if table is not None:
            query = query.where(CellRow.table_name == table)
        memo: dict[Any, Any] = {}
        return [read_value(row, memo) for row in self._rows(query)]

    def names(self, keys: Collection[str]) -> dict[str, str]:
        """Return key -> printed name of the stored trials of ``keys``; see :mod:`orchestrator.names`."""
        of = (
            TrialRow.method,
            TrialRow.kind,
            TrialRow.source,
            TrialRow.dataset,
            TrialRow.split,
            TrialRow.seed,
        )
        found: dict[str, str] = {}
        wanted = set(keys)
        for chunk in chunks(keys):
            ordered = [
                tuple(row) for row in self._read(sa.select(*of).where(TrialRow.key.in_(chunk)).distinct())
            ]
            for some in (ordered[i : i + PLACES] for i in range(0, len(ordered), PLACES)):
                alike = self._named(sa.tuple_(*of).in_(some))
                if not self._first.keys() >= {group(trial.config) for trial in alike}:
                    firsts = self._named(TrialRow.id.in_(_first_of(*of[:3])))
                    self._first = {group(trial.config): trial.config for trial in firsts}
                found |= names(alike, self._first, wanted)
        return found

    def _named(self, where: Any) -> list[Named]:
        query = sa.select(TrialRow.key, TrialRow.seed, *IDENTITY).where(where).order_by(TrialRow.id)
        memo: dict[Any, dict[str, Any]] = {}
        found = []
        for key, *identity in self._rows(query):
            same = tuple(identity)
            if same not in memo:
                memo[same] = {**read_config(same[1:]), "seed": same[0]}
            found.append(Named(key, memo[same]))
        return found

    def places(self, keys: Collection[str]) -> dict[str, list[tuple[str, str, str, str]]]:
        """Return key -> (study, table, row, column) of every cell that shows the trial, in the order of the layout."""
        found: dict[str, list[tuple[str, str, str, str]]] = {}
        for chunk in chunks(keys):
            query = (
                sa.select(TrialRow.key, StudyRow.name, CellRow.table_name, CellRow.row, CellRow.col)
                .join(CellRow, CellRow.trial_id == TrialRow.id)
                .join(StudyRow, StudyRow.id == CellRow.study_id)
                .where(TrialRow.key.in_(chunk))
                .order_by(CellRow.id)
            )
            for key, *place in self._rows(query):
                found.setdefault(key, []).append(tuple(place))
        return found

    def trial(self, key: str) -> Trial:
        """Return the stored trial of a key."""
        (row,) = self._read(sa.select(TrialRow).where(TrialRow.key == key))
        return Trial(**{name: getattr(row[0], name) for name in (*PLAIN, *GROUPS)})

    def attempts(self, keys: Collection[str]) -> list[AttemptInfo]:
        """Return every attempt at the trials of ``keys``, oldest first."""
        columns = (
            AttemptRow.id, AttemptRow.number, AttemptRow.state, AttemptRow.restarts, AttemptRow.started,
            AttemptRow.finished, AttemptRow.seconds, AttemptRow.error_kind, AttemptRow.error,
            AttemptRow.provenance, AttemptRow.worker, AttemptRow.mlflow_run_id,
        )  # fmt: skip
        found = []
        for chunk in chunks(keys):
            query = (
                sa.select(TrialRow.key, TrialRow.seed, TrialRow.split, TrialRow.data_digest, *columns)
                .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
                .where(TrialRow.key.in_(chunk))
                .order_by(TrialRow.id, AttemptRow.started, AttemptRow.id)
            )
            found += [AttemptInfo(*row) for row in self._read(query)]
        return found

    def tracebacks(self, attempt_ids: Collection[int]) -> dict[int, str]:
        """Return the tracebacks of failed attempts that have one."""
        found: dict[int, str] = {}
        for chunk in chunks(attempt_ids):
            query = sa.select(AttemptRow.id, AttemptRow.traceback)
            found |= {i: text for i, text in self._read(query.where(AttemptRow.id.in_(chunk))) if text}
        return found

    def epochs(self, attempt_id: int, after: int = 0) -> list[EpochRow]:
        """Return the epochs of an attempt, in order."""
        return self.epochs_of([attempt_id], after)[attempt_id]

    def epochs_of(self, attempt_ids: Collection[int], after: int = 0) -> dict[int, list[EpochRow]]:
        """Return attempt id -> its epochs, in order."""
        metrics: dict[int, dict[tuple[int, float], dict[str, float]]] = {i: {} for i in attempt_ids}
        for chunk in chunks(attempt_ids):
            query = (
                sa.select(
                    EpochMetric.attempt_id,
                    EpochMetric.epoch,
                    EpochMetric.time,
                    EpochMetric.metric,
                    EpochMetric.value,
                )
                .where(EpochMetric.attempt_id.in_(chunk), EpochMetric.epoch > after)
                .order_by(EpochMetric.attempt_id, EpochMetric.epoch)
            )
            for attempt_id, epoch, time, metric, value in self._rows(query):
                metrics[attempt_id].setdefault((epoch, time), {})[metric] = value
        return {
            attempt_id: [EpochRow(epoch, time, found) for (epoch, time), found in by_epoch.items()]
            for attempt_id, by_epoch in metrics.items()
        }

    def curves(
        self, attempt_ids: Collection[int], metrics: Collection[str]
    ) -> dict[int, dict[str, list[tuple[int, float]]]]:
        """Return attempt id -> metric -> (epoch, value) in order, of the metrics asked for."""
        found: dict[int, dict[str, list[tuple[int, float]]]] = {}
        for chunk in chunks(attempt_ids):
            query = (
                sa.select(EpochMetric.attempt_id, EpochMetric.metric, EpochMetric.epoch, EpochMetric.value)
                .where(EpochMetric.attempt_id.in_(chunk), EpochMetric.metric.in_(list(metrics)))
                .order_by(EpochMetric.attempt_id, EpochMetric.epoch)
            )
            for attempt_id, metric, epoch, value in self._rows(query):
                found.setdefault(attempt_id, {}).setdefault(metric, []).append((epoch, value))
        return found

    def per_class(self, attempt_id: int, protocol: str) -> dict[int, tuple[int, int]]:
        """Return class id -> (correct, total)."""
        query = sa.select(ClassAccuracy.class_id, ClassAccuracy.correct, ClassAccuracy.total).where(
            ClassAccuracy.attempt_id == attempt_id, ClassAccuracy.protocol == protocol
        )
        return {c: (right, total) for c, right, total in self._read(query)}

    def class_counts(
        self, attempt_ids: Collection[int], protocol: str
    ) -> dict[int, dict[int, tuple[int, int]]]:
        """Return attempt id -> class id -> (correct, total), of those attempts that have them."""
        found: dict[int, dict[int, tuple[int, int]]] = {}
        for chunk in chunks(attempt_ids):
            query = sa.select(
                ClassAccuracy.attempt_id, ClassAccuracy.class_id, ClassAccuracy.correct, ClassAccuracy.total
            ).where(ClassAccuracy.attempt_id.in_(chunk), ClassAccuracy.protocol == protocol)
            for attempt_id, class_id, right, total in self._rows(query):
                found.setdefault(attempt_id, {})[class_id] = (right, total)
        return found

    def seconds_per_epoch(self) -> dict[tuple[str, str], float]:
        """Return the mean training seconds of an epoch by (method, dataset)."""
        epochs = sa.cast(TrialRow.training["epochs"].as_float(), sa.Float)
        query = (
            sa.select(TrialRow.method, TrialRow.dataset, sa.func.avg(AttemptRow.seconds / epochs))
            .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
            .where(AttemptRow.state == State.DONE, TrialRow.kind != "profile")
            .group_by(TrialRow.method, TrialRow.dataset)
        )
        return {(m, d): float(s or 0) for m, d, s in self._read(query)}

    def _now_and(self, query: Any) -> tuple[float, list[Any]]:
        """Read rows and the database's clock, which leases are held against."""
        return self._db.read(lambda session: (self._db.now(session), list(session.execute(query))))


def _first_of(*columns: Any) -> Any:
    """Return the query of the ids of the first stored trial of every combination of columns."""
    return sa.select(sa.func.min(TrialRow.id)).group_by(*columns)
