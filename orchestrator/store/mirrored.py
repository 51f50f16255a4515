"""How far which MLflow has an attempt: asked and noted by the mirror."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.store.queries import Reading
from orchestrator.store.schema import AttemptRow, CellRow, StudyRow, TrialRow
from orchestrator.store.selecting import chunks
from orchestrator.trial import State


class MirrorNotes(Reading):
    """The part of a store that the mirror reads and writes."""

    def unmirrored(self, uri: str, *, everything: bool) -> list[tuple[AttemptRow, TrialRow, str]]:
        """Return attempts with news for the MLflow at ``uri``, with their trial and a study that asked for it.

        Attempts that another MLflow has are among them only with ``everything``.
        """
        study = (
            sa.select(sa.func.min(StudyRow.name))
            .join(CellRow, CellRow.study_id == StudyRow.id)
            .where(CellRow.trial_id == TrialRow.id)
            .scalar_subquery()
        )
        stale = sa.or_(
            AttemptRow.mirrored_state.is_(None),
            AttemptRow.mirrored_state != AttemptRow.state,
            AttemptRow.state == State.RUNNING,
        )
        elsewhere = AttemptRow.mlflow_uri.is_distinct_from(uri)
        free = sa.or_(AttemptRow.mlflow_uri.is_(None), AttemptRow.mlflow_uri == uri)
        query = (
            sa.select(AttemptRow, TrialRow, sa.func.coalesce(study, "dvta-orch"))
            .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
            .where(sa.or_(stale, elsewhere) if everything else sa.and_(stale, free))
            .order_by(AttemptRow.id)
        )
        return [tuple(row) for row in self._read(query)]

    def newest_attempt(self) -> int:
        """Return the largest id of an attempt, 0 where there is none."""
        return self._read(sa.select(sa.func.max(AttemptRow.id)))[0][0] or 0

    def mirrored_elsewhere(self, uri: str) -> int:
        """Return how many attempts are in another MLflow than the one at ``uri``."""
        there = (AttemptRow.mlflow_run_id.is_not(None), AttemptRow.mlflow_uri.is_distinct_from(uri))
        return int(self._read(sa.select(sa.func.count()).where(*there))[0][0])

    def note_runs(self, uri: str, runs: Mapping[int, str]) -> dict[int, str]:
        """Remember the runs of attempts in the MLflow at ``uri``; return those noted there first.

        Args:
            uri: of the MLflow.
            runs: attempt id -> run id.
        """

        def work(session: Session) -> dict[int, str]:
            noted = {}
            for some in chunks(runs):
                # a common order, so that two mirrors do not wait for each other
                query = sa.select(AttemptRow).where(AttemptRow.id.in_(some)).order_by(AttemptRow.id)
                for attempt in session.scalars(query.with_for_update()):
                    if attempt.mlflow_uri != uri or attempt.mlflow_run_id is None:
                        attempt.mlflow_uri, attempt.mlflow_run_id = uri, runs[attempt.id]
                        attempt.mirrored_epoch, attempt.mirrored_state = 0, None
                    noted[attempt.id] = attempt.mlflow_run_id
            return noted

        return self._db.write("noting the mirror", work)

    def note_mirrored(self, uri: str, reached: Mapping[int, tuple[int, str]]) -> None:
        """Remember how far the MLflow at ``uri`` has attempts, but for those another one has by now.

        Args:
            uri: of the MLflow.
            reached: attempt id -> its last epoch there and its state.
        """
        here = (AttemptRow.id == sa.bindparam("attempt"), AttemptRow.mlflow_uri == uri)
        table: sa.Table = AttemptRow.__table__  # type: ignore[assignment]
        noted: dict[str, Any] = {
            "mirrored_epoch": sa.bindparam("epoch"),
            "mirrored_state": sa.bindparam("reached"),
        }
        change = sa.update(table).where(*here).values(noted)
        rows = [{"attempt": a, "epoch": epoch, "reached": state} for a, (epoch, state) in reached.items()]
        if rows:
            self._db.write("noting the mirror", lambda session: session.execute(change, rows) and None)
