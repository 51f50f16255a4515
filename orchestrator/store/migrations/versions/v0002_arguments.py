"""A study keeps the profile and the ``--set`` values it was swept with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add ``study.arguments``."""
    op.add_column("study", sa.Column("arguments", sa.JSON(), nullable=False, server_default="{}"))
