"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.UniqueConstraint("name", name="uq_study_name"),
    )
    _create_trial()
    op.create_table(
        "cell",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("table_name", sa.String(50), nullable=False),
        sa.Column("row", sa.String(200), nullable=False),
        sa.Column("col", sa.String(200), nullable=False),
        sa.Column("trial_id", sa.Integer()),
        sa.Column("missing", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_cell"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], "fk_cell_study_id_study", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], "fk_cell_trial_id_trial"),
    )
    op.create_index("ix_cell_trial_id", "cell", ["trial_id"])
    op.create_index("ix_cell_study_table", "cell", ["study_id", "table_name"])
    _create_attempt()
    op.create_table(
        "epoch_metric",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(50), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "epoch", "metric", name="pk_epoch_metric"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], "fk_epoch_metric_attempt_id_attempt"),
    )
    op.create_table(
        "class_accuracy",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(10), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "protocol", "class_id", name="pk_class_accuracy"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], "fk_class_accuracy_attempt_id_attempt"),
    )


def _create_trial() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("method", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("split", sa.String(100), nullable=False),
        sa.Column("visual", sa.String(200), nullable=False),
        sa.Column("text", sa.String(200), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("evaluate_on", sa.String(20), nullable=False),
        sa.Column("needs", sa.String(64)),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("training", sa.JSON(), nullable=False),
        sa.Column("stand_in", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trial"),
        sa.UniqueConstraint("key", name="uq_trial_key"),
    )
    op.create_index("ix_trial_method", "trial", ["method"])


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("finished", sa.Float()),
        sa.Column("seconds", sa.Float()),
        sa.Column("error_kind", sa.String(50)),
        sa.Column("error", sa.Text()),
        sa.Column("traceback", sa.Text()),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("worker", sa.JSON(), nullable=False),
        sa.Column("final_accuracy", sa.Float()),
        sa.Column("final_class_accuracy", sa.Float()),
        sa.Column("best_accuracy", sa.Float()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.Column("mirrored_epoch", sa.Integer(), nullable=False),
        sa.Column("mirrored_state", sa.String(20)),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], "fk_attempt_trial_id_trial"),
    )
    op.create_index("ix_attempt_state", "attempt", ["state"])
    op.create_index("ix_attempt_trial_state", "attempt", ["trial_id", "state"])
