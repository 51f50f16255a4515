"""A study keeps the profile and the ``--set`` values it was swept with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add ``study.arguments``; a new database has it from the first revision on."""
    columns = {c["name"] for c in sa.inspect(op.get_bind()).get_columns("study")}
    if "arguments" not in columns:
        op.add_column("study", sa.Column("arguments", sa.JSON(), nullable=False, server_default="{}"))
