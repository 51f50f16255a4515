"""Everything the driver, the mirror and the reports ask of the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.errors import LeaseLostError
from orchestrator.records import Claim, EpochRow, Failure, Outcome, Slot, TrialStatus
from orchestrator.store.database import Database
from orchestrator.store.mirrored import MirrorNotes
from orchestrator.store.schema import AttemptRow, CellRow, ClassAccuracy, EpochMetric, StudyRow, TrialRow
from orchestrator.store.selecting import chunks, newest_attempt
from orchestrator.trial import State, Trial

T = TypeVar("T")


class Store(MirrorNotes):
    """The result store.

    Its laws: a trial's key is unique. At most one attempt of a trial has a live lease. Only the
    holder of the lease writes an attempt; anybody else gets
    :class:`~orchestrator.errors.LeaseLostError`. A finished attempt never changes. An interrupted
    attempt is continued, not replaced, so that a done attempt has every epoch exactly once.
    """

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the store at an SQLAlchemy URL, migrated to this program's schema.

        Raises:
            StoreError: it cannot be reached, is newer than the program, or does not exist and
                ``create`` is false.
        """
        return cls(Database(url, create=create))

    @property
    def engine(self) -> sa.Engine:
        """The engine, for readers that bring their own SQL."""
        return self._db.engine

    def write(self, doing: str, work: Callable[[Session], T]) -> T:
        """Run ``work`` in one transaction; see :meth:`orchestrator.store.database.Database.write`."""
        return self._db.write(doing, work)

    # --- studies ------------------------------------------------------------------------------

    def save_study(
        self, name: str, spec: str, slots: Sequence[Slot], arguments: Mapping[str, Any] | None = None
    ) -> int:
        """Record a study, its trials and its cells; a study of that name gets new cells."""

        def work(session: Session) -> int:
            # drivers may start at the same moment: one row, and its lock orders the rest
            new = {"name": name, "spec": spec, "updated": 0.0, "arguments": {}}
            session.execute(self._insert(StudyRow).values(**new).on_conflict_do_nothing())
            study = session.scalars(sa.select(StudyRow).where(StudyRow.name == name).with_for_update()).one()
            study.spec, study.updated = spec, self._db.now(session)
            study.arguments = _with_earlier_splits(arguments or {}, study.arguments)
            session.flush()
            session.execute(sa.delete(CellRow).where(CellRow.study_id == study.id))
            self._add_slots(session, study.id, slots)
            return study.id

        return self._db.write(f"recording study {name}", work)

    def add_slots(self, study_id: int, slots: Sequence[Slot]) -> None:
        """Add cells to a study; those that are there already stay single."""

        def work(session: Session) -> None:
            # one driver after the other: none sees what another is adding
            session.execute(sa.select(StudyRow.id).where(StudyRow.id == study_id).with_for_update())
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

    # --- trials and attempts ------------------------------------------------------------------

    def statuses(self, keys: Collection[str]) -> dict[str, TrialStatus]:
        """Return the newest attempt of every trial of ``keys`` that was ever attempted."""
        found: dict[str, TrialStatus] = {}
        newest = newest_attempt(TrialRow.id)
        last = (
            sa.select(sa.func.max(EpochMetric.epoch))
            .where(EpochMetric.attempt_id == AttemptRow.id)
            .scalar_subquery()
        )
        for chunk in chunks(keys):
            query = (
                sa.select(
                    TrialRow.key, AttemptRow.id, AttemptRow.number, AttemptRow.state, AttemptRow.owner,
                    AttemptRow.lease_until, AttemptRow.error_kind, AttemptRow.error, AttemptRow.seconds,
                    sa.case((AttemptRow.state == State.DONE, 0), else_=last),
                )
                .join(AttemptRow, AttemptRow.id == newest)
                .where(TrialRow.key.in_(chunk))
            )  # fmt: skip
            now, rows = self._now_and(query)
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
        replaces: int | None = None,
    ) -> Claim | None:
        """Take the lease of a trial, or return None when it is not to be had.

        A trial never attempted gets its first attempt; an interrupted one goes on. One that is
        done, failed or pruned is taken only where its newest attempt is still the one that
        ``replaces`` names, as a new attempt; one that a live lease covers never.
        """

        def work(session: Session) -> Claim | None:
            trial_id = self._trial_ids(session, {trial.key: trial})[trial.key]
            # PostgreSQL: whoever locks the row first decides; SQLite has one writer anyway
            session.execute(sa.select(TrialRow.id).where(TrialRow.id == trial_id).with_for_update())
            now = self._db.now(session)
            newest = session.scalar(
                sa.select(AttemptRow)
                .where(AttemptRow.trial_id == trial_id)
                .order_by(AttemptRow.started.desc(), AttemptRow.id.desc())
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
                if newest.id != replaces:
                    return None
            last = sa.select(sa.func.max(AttemptRow.number)).where(AttemptRow.trial_id == trial_id)
            attempt = AttemptRow(
                trial_id=trial_id,
                number=(session.scalar(last) or 0) + 1,
                state=State.RUNNING,
                owner=owner,
                lease_until=now + lease_seconds,
                restarts=0,
                # one that came from a machine whose clock is ahead stays older
                started=max(now, newest.started if newest else now),
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
                if attempt.restarts == 0:
                    # an attempt starts when a worker begins, not when it is claimed to wait for one
                    began = float(worker.get("began") or attempt.started)
                    attempt.started = min(max(attempt.started, began), self._db.now(session))
            if outcome is not None:
                self._finish(session, attempt, outcome)
            elif failure is not None:
                attempt.state, attempt.finished = State.FAILED, self._db.now(session)
                attempt.error_kind, attempt.error = failure.kind, _storable(failure.message)
                attempt.traceback = _storable(failure.traceback)

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

    # --- inside -------------------------------------------------------------------------------

    def _insert(self, table: type) -> Any:
        if self._db.sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    def _trial_ids(self, session: Session, trials: Mapping[str, Trial]) -> dict[str, int]:
        """Return the row ids of trials, inserting those that are new."""
        ids: dict[str, int] = {}
        for chunk in chunks(trials):
            query = sa.select(TrialRow.key, TrialRow.id).where(TrialRow.key.in_(chunk))
            ids.update((key, row) for key, row in session.execute(query))
            new = [trials[key] for key in chunk if key not in ids]
            if new:
                rows = [{**t.to_dict(), "key": t.key} for t in new]
                session.execute(self._insert(TrialRow).on_conflict_do_nothing(), rows)
                ids.update((key, row) for key, row in session.execute(query))
        return ids


def _storable(text: str) -> str:
    """Return a text as every database takes it: what an error quotes may be no text at all."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _with_earlier_splits(arguments: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's arguments with every definition its own splits ever had: its trials outlive them."""
    known: dict[str, list[Any]] = {n: list(found) for n, found in earlier.get("splits", {}).items()}
    for name, classes in arguments.get("splits", {}).items():
        known.setdefault(name, [])
        if list(classes) not in known[name]:
            known[name].append(list(classes))
    return {**arguments, **({"splits": known} if known else {})}
