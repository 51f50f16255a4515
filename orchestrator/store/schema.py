"""The tables of the result store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "0003"


class Base(DeclarativeBase):
    """Declarative base with named constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class StudyRow(Base):
    """A spec that was swept, with the profile, source and ``--set`` values it was swept with."""

    __tablename__ = "study"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    spec: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON, server_default="{}")
    updated: Mapped[float] = mapped_column(Float)
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))


class TrialRow(Base):
    """The identity of a trial: the same key is trained once, whichever study asks."""

    __tablename__ = "trial"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(200), index=True)
    revision: Mapped[int]
    dataset: Mapped[str] = mapped_column(String(200))
    split: Mapped[str] = mapped_column(String(100))
    visual: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(String(200))
    seed: Mapped[int]
    source: Mapped[str] = mapped_column(String(20))
    evaluate_on: Mapped[str] = mapped_column(String(20))
    depends_on: Mapped[str | None] = mapped_column("needs", String(64))
    data_digest: Mapped[str] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    training: Mapped[dict[str, Any]] = mapped_column(JSON)
    stand_in: Mapped[dict[str, Any]] = mapped_column(JSON)


class CellRow(Base):
    """One trial of one table cell of a study; a cell that cannot be filled says why."""

    __tablename__ = "cell"
    __table_args__ = (Index("ix_cell_study_table", "study_id", "table_name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    table_name: Mapped[str] = mapped_column(String(50))
    row: Mapped[str] = mapped_column(Text)
    col: Mapped[str] = mapped_column(Text)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), index=True)
    missing: Mapped[str | None] = mapped_column(Text)


class AttemptRow(Base):
    """One run of a trial; once finished it never changes, but for what the mirror notes.

    The mirror's notes are of the MLflow at ``mlflow_uri``; without one they are schema 0002's.
    """

    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_trial_state", "trial_id", "state"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), index=True)
    owner: Mapped[str] = mapped_column(String(300))
    lease_until: Mapped[float] = mapped_column(Float)
    restarts: Mapped[int] = mapped_column(default=0)
    started: Mapped[float] = mapped_column(Float)
    finished: Mapped[float | None] = mapped_column(Float)
    seconds: Mapped[float | None] = mapped_column(Float)
    error_kind: Mapped[str | None] = mapped_column(String(50))
    error: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    provenance: Mapped[dict[str, Any]] = mapped_column(JSON)
    worker: Mapped[dict[str, Any]] = mapped_column(JSON)
    final_accuracy: Mapped[float | None] = mapped_column(Float)
    final_class_accuracy: Mapped[float | None] = mapped_column(Float)
    best_accuracy: Mapped[float | None] = mapped_column(Float)
    best_epoch: Mapped[int | None] = mapped_column(Integer)
    results: Mapped[dict[str, Any]] = mapped_column(JSON)
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))
    mlflow_uri: Mapped[str | None] = mapped_column(Text)
    mirrored_epoch: Mapped[int] = mapped_column(default=0)
    mirrored_state: Mapped[str | None] = mapped_column(String(20))


class EpochMetric(Base):
    """One metric of one epoch of one attempt."""

    __tablename__ = "epoch_metric"
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric: Mapped[str] = mapped_column(String(50), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    time: Mapped[float] = mapped_column(Float)


class ClassAccuracy(Base):
    """Correct and total of one class of one attempt under one protocol."""

    __tablename__ = "class_accuracy"
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"), primary_key=True)
    protocol: Mapped[str] = mapped_column(String(10), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    correct: Mapped[int]
    total: Mapped[int]
