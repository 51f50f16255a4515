"""Everything the driver, the mirror and the reports ask of the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from orchestrator.errors import LeaseLostError, StoreError
from orchestrator.execute.messages import Failure, Outcome
from orchestrator.expand import Slot
from orchestrator.store.database import Database
from orchestrator.store.records import CellValue, Claim, EpochRow, TrialStatus
from orchestrator.store.schema import AttemptRow, CellRow, ClassAccuracy, EpochMetric, Study, TrialRow
from orchestrator.trial import State, Trial

T = TypeVar("T")
CHUNK = 500
COLUMNS = (
    "key", "kind", "method", "revision", "dataset", "split", "visual", "text", "seed", "source",
    "evaluate_on", "needs", "data_digest",
)  # fmt: skip


class Store:
    """The result store.

    Its laws: a trial's key is unique. At most one attempt of a trial has a live lease. Only the
    holder of the lease writes an attempt; anybody else gets
    :class:`~orchestrator.errors.LeaseLostError`. A finished attempt never changes. An interrupted
    attempt is continued, not replaced, so that a done attempt has every epoch exactly once.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._db = Database(url, create=create)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the store at an SQLAlchemy URL, migrated to this program's schema.

        Raises:
            StoreError: it cannot be reached, is newer than the program, or does not exist and
                ``create`` is false.
        """
        return cls(url, create=create)

    @property
    def engine(self) -> sa.Engine:
        """The engine, for readers that bring their own SQL."""
        return self._db.engine

    # --- studies ------------------------------------------------------------------------------

    def save_study(self, name: str, spec: str, slots: Sequence[Slot]) -> int:
        """Record a study, its trials and its cells; a study of that name gets new cells."""

        def work(session: Session) -> int:
            study = session.scalar(sa.select(Study).where(Study.name == name))
            if study is None:
                study = Study(name=name, spec=spec, updated=0.0)
                session.add(study)
            study.spec, study.updated = spec, self._db.now(session)
            session.flush()
            session.execute(sa.delete(CellRow).where(CellRow.study_id == study.id))
            self._add_slots(session, study.id, slots)
            return study.id

        return self._db.write(f"recording study {name}", work)

    def add_slots(self, study_id: int, slots: Sequence[Slot]) -> None:
        """Add cells to a study; those that are there already stay single."""

        def work(session: Session) -> None:
            for slot in slots:
                same = (
                    CellRow.study_id == study_id,
                    CellRow.table_name == slot.table,
                    CellRow.row == slot.row,
                )
                keys = sa.select(TrialRow.id).where(TrialRow.key == (slot.trial.key if slot.trial else ""))
                session.execute(
                    sa.delete(CellRow).where(*same, CellRow.col == slot.column, CellRow.trial_id.in_(keys))
                )
            self._add_slots(session, study_id, slots)

        self._db.write("adding tuned cells", work)

    def _add_slots(self, session: Session, study_id: int, slots: Sequence[Slot]) -> None:
        ids = self._trial_ids(session, {s.trial.key: s.trial for s in slots if s.trial})
        rows = [
            {
                "study_id": study_id,
                "table_name": slot.table,
                "row": slot.row,
                "col": slot.column,
                "trial_id": ids[slot.trial.key] if slot.trial else None,
                "missing": slot.missing,
            }
            for slot in slots
        ]
        if rows:
            session.execute(sa.insert(CellRow), rows)

    def studies(self) -> list[tuple[int, str, float]]:
        """Return (id, name, last update) of every study, the newest first."""
        query = sa.select(Study.id, Study.name, Study.updated).order_by(Study.updated.desc())
        return [tuple(row) for row in self._read(query)]

    def find_study(self, name: str | None = None, table: str | None = None) -> tuple[int, str]:
        """Return id and name of a study, by default the newest (that has the table).

        Raises:
            StoreError: there is none.
        """
        query = sa.select(Study.id, Study.name).order_by(Study.updated.desc())
        if name:
            query = query.where(Study.name == name)
        if table:
            query = query.where(Study.id.in_(sa.select(CellRow.study_id).where(CellRow.table_name == table)))
        found = self._read(query.limit(1))
        if not found:
            what = " ".join(
                x for x in (f"study {name!r}" if name else "", f"table {table!r}" if table else "") if x
            )
            have = ", ".join(n for _, n, _ in self.studies()) or "none"
            raise StoreError(f"nothing stored for {what or 'any study'}; studies here: {have}")
        return found[0][0], found[0][1]

    # --- trials and attempts ------------------------------------------------------------------

    def statuses(self, keys: Collection[str]) -> dict[str, TrialStatus]:
        """Return the newest attempt of every trial of ``keys`` that was ever attempted."""
        found: dict[str, TrialStatus] = {}
        newest = _newest(TrialRow.id)
        last = (
            sa.select(sa.func.max(EpochMetric.epoch))
            .where(EpochMetric.attempt_id == AttemptRow.id)
            .scalar_subquery()
        )
        for chunk in _chunks(keys):
            query = (
                sa.select(
                    TrialRow.key, AttemptRow.id, AttemptRow.number, AttemptRow.state, AttemptRow.owner,
                    AttemptRow.lease_until, AttemptRow.error_kind, AttemptRow.error, AttemptRow.seconds,
                    sa.case((AttemptRow.state == State.DONE, 0), else_=last),
                )
                .join(AttemptRow, AttemptRow.id == newest)
                .where(TrialRow.key.in_(chunk))
            )  # fmt: skip
            with self._db.scope() as session:
                now = self._db.now(session)
                rows = session.execute(query).all()
            for key, attempt, number, state, owner, until, kind, error, seconds, epoch in rows:
                alive = State(state)
                if alive is State.RUNNING and until < now:
                    alive = State.INTERRUPTED
                message = f"{kind}: {error}" if kind else ""
                found[key] = TrialStatus(alive, attempt, number, epoch or 0, owner, message, seconds)
        return found

    def claim(
        self,
        trial: Trial,
        owner: str,
        lease_seconds: float,
        provenance: Mapping[str, Any],
        *,
        fresh: bool = False,
    ) -> Claim | None:
        """Take the lease of a trial, or return None when it is not to be had.

        A trial never attempted gets its first attempt; an interrupted one goes on. One that is
        done, failed or pruned is taken only with ``fresh``, as a new attempt; one that a live
        lease covers never.
        """

        def work(session: Session) -> Claim | None:
            trial_id = self._trial_ids(session, {trial.key: trial})[trial.key]
            # PostgreSQL: whoever locks the row first decides; SQLite has one writer anyway
            session.execute(sa.select(TrialRow.id).where(TrialRow.id == trial_id).with_for_update())
            now = self._db.now(session)
            newest = session.scalar(
                sa.select(AttemptRow)
                .where(AttemptRow.trial_id == trial_id)
                .order_by(AttemptRow.id.desc())
                .limit(1)
            )
            if newest is not None:
                state = State(newest.state)
                if state is State.RUNNING and newest.lease_until >= now:
                    return None
                if not state.is_finished:
                    newest.state, newest.owner = State.RUNNING, owner
                    newest.lease_until, newest.restarts = now + lease_seconds, newest.restarts + 1
                    last = sa.select(sa.func.max(EpochMetric.epoch)).where(
                        EpochMetric.attempt_id == newest.id
                    )
                    epoch = session.scalar(last) or 0
                    return Claim(newest.id, newest.number, True, epoch, newest.restarts)
                if not fresh:
                    return None
            attempt = AttemptRow(
                trial_id=trial_id,
                number=(newest.number if newest else 0) + 1,
                state=State.RUNNING,
                owner=owner,
                lease_until=now + lease_seconds,
                restarts=0,
                started=now,
                provenance=dict(provenance),
                worker={},
                results={},
                mirrored_epoch=0,
            )
            session.add(attempt)
            session.flush()
            return Claim(attempt.id, attempt.number, False, 0, 0)

        return self._db.write("claiming a trial", work)

    def renew(self, owner: str, attempt_ids: Collection[int], lease_seconds: float) -> set[int]:
        """Extend leases; return the attempts whose lease is somebody else's by now."""

        def work(session: Session) -> set[int]:
            mine = (
                AttemptRow.id.in_(attempt_ids),
                AttemptRow.owner == owner,
                AttemptRow.state == State.RUNNING,
            )
            held = set(session.scalars(sa.select(AttemptRow.id).where(*mine)))
            until = self._db.now(session) + lease_seconds
            session.execute(sa.update(AttemptRow).where(AttemptRow.id.in_(held)).values(lease_until=until))
            return set(attempt_ids) - held

        return self._db.write("renewing leases", work)

    def record(
        self,
        attempt_id: int,
        owner: str,
        rows: Sequence[EpochRow],
        *,
        outcome: Outcome | None = None,
        failure: Failure | None = None,
        worker: Mapping[str, Any] | None = None,
    ) -> None:
        """Write epochs and, with an outcome or failure, the end of an attempt, in one transaction.

        Epochs that are there already stay as they are.

        Raises:
            LeaseLostError: the attempt is another owner's, or finished.
        """

        def work(session: Session) -> None:
            attempt = self._mine(session, attempt_id, owner)
            if rows:
                values = [
                    {"attempt_id": attempt_id, "epoch": r.epoch, "metric": m, "value": v, "time": r.time}
                    for r in rows
                    for m, v in r.metrics.items()
                ]
                session.execute(self._insert(EpochMetric).on_conflict_do_nothing(), values)
            if worker:
                attempt.worker = dict(worker)
            if outcome is not None:
                self._finish(session, attempt, outcome)
            elif failure is not None:
                attempt.state, attempt.finished = State.FAILED, self._db.now(session)
                attempt.error_kind, attempt.error = failure.kind, failure.message
                attempt.traceback = failure.traceback

        self._db.write(f"recording attempt {attempt_id}", work)

    def prune(self, attempt_id: int, owner: str) -> None:
        """End an attempt as pruned."""
        self._end(attempt_id, owner, State.PRUNED)

    def release(self, attempt_id: int, owner: str) -> None:
        """Let go of an attempt; it can be continued at once."""
        self._end(attempt_id, owner, State.INTERRUPTED)

    def release_all(self, owner: str) -> None:
        """Let go of everything an owner holds: its process is known to be dead."""
        held = (AttemptRow.owner == owner, AttemptRow.state == State.RUNNING)
        change = sa.update(AttemptRow).where(*held).values(state=State.INTERRUPTED)
        self._db.write("releasing leases", lambda session: session.execute(change) and None)

    def _end(self, attempt_id: int, owner: str, state: State) -> None:
        def work(session: Session) -> None:
            attempt = self._mine(session, attempt_id, owner)
            attempt.state = state
            if state.is_finished:
                attempt.finished = self._db.now(session)

        self._db.write(f"ending attempt {attempt_id}", work)

    def _mine(self, session: Session, attempt_id: int, owner: str) -> AttemptRow:
        attempt = session.get(AttemptRow, attempt_id, with_for_update=True)
        if attempt is None or attempt.owner != owner or attempt.state != State.RUNNING:
            raise LeaseLostError(
                f"attempt {attempt_id} is not this driver's any more; what it reports is dropped"
            )
        return attempt

    def _finish(self, session: Session, attempt: AttemptRow, outcome: Outcome) -> None:
        results = dict(outcome.results)
        attempt.state, attempt.finished, attempt.seconds = State.DONE, self._db.now(session), outcome.seconds
        attempt.final_accuracy = results.get("final_accuracy")
        attempt.final_class_accuracy = results.get("final_class_accuracy")
        attempt.best_accuracy = results.get("best_accuracy")
        attempt.best_epoch = int(results["best_epoch"]) if "best_epoch" in results else None
        attempt.results = results
        counts = [
            {"attempt_id": attempt.id, "protocol": protocol, "class_id": c, "correct": right, "total": total}
            for protocol, classes in outcome.per_class.items()
            for c, (right, total) in classes.items()
        ]
        if counts:
            session.execute(sa.insert(ClassAccuracy), counts)

    # --- reading ------------------------------------------------------------------------------

    def results(self, keys: Collection[str]) -> dict[str, dict[str, float]]:
        """Return the results of the newest done attempt of every trial of ``keys``."""
        found: dict[str, dict[str, float]] = {}
        for chunk in _chunks(keys):
            query = (
                sa.select(TrialRow.key, AttemptRow.results)
                .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
                .where(TrialRow.key.in_(chunk), AttemptRow.state == State.DONE)
                .order_by(AttemptRow.id)
            )
            found.update(dict(self._read(query)))
        return found

    def cells(self, study_id: int, table: str | None = None) -> list[CellValue]:
        """Return every trial of a study's cells (of one table), in the order of the layout."""
        # a retry that is running does not hide what was measured before it
        newest = sa.func.coalesce(_newest(CellRow.trial_id, State.DONE), _newest(CellRow.trial_id))
        query = (
            sa.select(CellRow, TrialRow, AttemptRow)
            .outerjoin(TrialRow, TrialRow.id == CellRow.trial_id)
            .outerjoin(AttemptRow, AttemptRow.id == newest)
            .where(CellRow.study_id == study_id)
            .order_by(CellRow.id)
        )
        if table is not None:
            query = query.where(CellRow.table_name == table)
        return [_cell_value(*row) for row in self._read(query)]

    def trials(self, where: Mapping[str, Any] | None = None, limit: int | None = None) -> list[CellValue]:
        """Return stored trials with their newest attempt; ``where`` filters by configuration."""
        newest = _newest(TrialRow.id)
        query = (
            sa.select(TrialRow, AttemptRow)
            .outerjoin(AttemptRow, AttemptRow.id == newest)
            .order_by(TrialRow.id)
        )
        for name, value in (where or {}).items():
            if name == "key":
                query = query.where(TrialRow.key.startswith(str(value)))
            elif name in COLUMNS:
                query = query.where(getattr(TrialRow, name) == value)
        rows = [_cell_value(None, *row) for row in self._read(query)]
        rest = {n: v for n, v in (where or {}).items() if n not in COLUMNS}
        kept = (r for r in rows if all(r.config.get(n) == v for n, v in rest.items()))
        return list(islice(kept, limit))

    def epochs(self, attempt_id: int, after: int = 0) -> list[EpochRow]:
        """Return the epochs of an attempt, in order."""
        query = (
            sa.select(EpochMetric.epoch, EpochMetric.time, EpochMetric.metric, EpochMetric.value)
            .where(EpochMetric.attempt_id == attempt_id, EpochMetric.epoch > after)
            .order_by(EpochMetric.epoch)
        )
        metrics: dict[tuple[int, float], dict[str, float]] = {}
        for epoch, time, metric, value in self._read(query):
            metrics.setdefault((epoch, time), {})[metric] = value
        return [EpochRow(epoch, time, found) for (epoch, time), found in metrics.items()]

    def per_class(self, attempt_id: int, protocol: str) -> dict[int, tuple[int, int]]:
        """Return class id -> (correct, total)."""
        query = sa.select(ClassAccuracy.class_id, ClassAccuracy.correct, ClassAccuracy.total).where(
            ClassAccuracy.attempt_id == attempt_id, ClassAccuracy.protocol == protocol
        )
        return {c: (right, total) for c, right, total in self._read(query)}

    def seconds_per_epoch(self) -> dict[tuple[str, str], float]:
        """Return the mean training seconds of an epoch by (method, dataset)."""
        epochs = sa.cast(TrialRow.training["epochs"].as_float(), sa.Float)
        query = (
            sa.select(TrialRow.method, TrialRow.dataset, sa.func.avg(AttemptRow.seconds / epochs))
            .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
            .where(AttemptRow.state == State.DONE)
            .group_by(TrialRow.method, TrialRow.dataset)
        )
        return {(m, d): float(s or 0) for m, d, s in self._read(query)}

    # --- the mirror's notes -------------------------------------------------------------------

    def unmirrored(self) -> list[tuple[AttemptRow, TrialRow, str]]:
        """Return attempts with news for MLflow, with their trial and a study that asked for it."""
        study = (
            sa.select(sa.func.min(Study.name))
            .join(CellRow, CellRow.study_id == Study.id)
            .where(CellRow.trial_id == TrialRow.id)
            .scalar_subquery()
        )
        stale = sa.or_(
            AttemptRow.mirrored_state.is_(None),
            AttemptRow.mirrored_state != AttemptRow.state,
            AttemptRow.state == State.RUNNING,
        )
        query = (
            sa.select(AttemptRow, TrialRow, sa.func.coalesce(study, "dvta-orch"))
            .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
            .where(stale)
            .order_by(AttemptRow.id)
        )
        return [tuple(row) for row in self._read(query)]

    def note_mirrored(self, attempt_id: int, run_id: str, epoch: int, state: str | None) -> None:
        """Remember how far MLflow has an attempt."""
        values = {"mlflow_run_id": run_id, "mirrored_epoch": epoch, "mirrored_state": state}
        change = sa.update(AttemptRow).where(AttemptRow.id == attempt_id).values(**values)
        self._db.write("noting the mirror", lambda session: session.execute(change) and None)

    # --- inside -------------------------------------------------------------------------------

    def _read(self, query: Any) -> list[Any]:
        return self._db.write("reading", lambda session: list(session.execute(query)))

    def _insert(self, table: type) -> Any:
        if self._db.sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    def _trial_ids(self, session: Session, trials: Mapping[str, Trial]) -> dict[str, int]:
        """Return the row ids of trials, inserting those that are new."""
        ids: dict[str, int] = {}
        for chunk in _chunks(trials):
            query = sa.select(TrialRow.key, TrialRow.id).where(TrialRow.key.in_(chunk))
            ids.update((key, row) for key, row in session.execute(query))
            new = [trials[key] for key in chunk if key not in ids]
            if new:
                rows = [{**t.to_dict(), "key": t.key} for t in new]
                session.execute(self._insert(TrialRow).on_conflict_do_nothing(), rows)
                ids.update((key, row) for key, row in session.execute(query))
        return ids


def to_trial(row: TrialRow) -> Trial:
    """Return the trial a row describes."""
    names = [c for c in COLUMNS if c != "key"]
    groups = {"options": row.options, "training": row.training, "stand_in": row.stand_in}
    values: dict[str, Any] = {name: getattr(row, name) for name in names} | groups
    return Trial(**values)


def _newest(trial_id: Any, state: State | None = None) -> Any:
    """Return the subquery of the newest attempt's id, of that state where one is given."""
    attempt = aliased(AttemptRow)
    query = sa.select(sa.func.max(attempt.id)).where(attempt.trial_id == trial_id)
    return (query if state is None else query.where(attempt.state == state)).scalar_subquery()


def _cell_value(cell: CellRow | None, trial: TrialRow | None, attempt: AttemptRow | None) -> CellValue:
    config: dict[str, Any] = {}
    if trial is not None:
        config = {c: getattr(trial, c) for c in COLUMNS if c != "key"}
        config |= trial.options | trial.training | trial.stand_in
    field: Callable[[str], Any] = lambda name: getattr(trial, name) if trial is not None else None  # noqa: E731
    done = attempt is not None and attempt.state == State.DONE
    return CellValue(
        table=cell.table_name if cell else "",
        row=cell.row if cell else "",
        column=cell.col if cell else "",
        missing=cell.missing if cell else None,
        key=field("key"),
        method=field("method"),
        dataset=field("dataset"),
        split=field("split"),
        visual=field("visual"),
        text=field("text"),
        seed=field("seed"),
        source=field("source"),
        config=config,
        state=State(attempt.state) if attempt else None,
        attempt_id=attempt.id if attempt else None,
        final=attempt.final_accuracy if attempt and done else None,
        best=attempt.best_accuracy if attempt and done else None,
        seconds=attempt.seconds if attempt else None,
        error=f"{attempt.error_kind}: {attempt.error}" if attempt and attempt.error_kind else None,
        commit=attempt.provenance.get("git_commit") if attempt else None,
        data_digest=field("data_digest"),
        mlflow_run_id=attempt.mlflow_run_id if attempt else None,
        results=attempt.results if attempt and done else {},
    )


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(dict.fromkeys(keys))
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
