"""Labels of any length; the mirror's notes say which MLflow they are of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen ``cell.row`` and ``cell.col`` (SQLite has no lengths) and add ``attempt.mlflow_uri``."""
    if op.get_bind().dialect.name != "sqlite":
        for name in ("row", "col"):
            op.alter_column("cell", name, type_=sa.Text())
    op.add_column("attempt", sa.Column("mlflow_uri", sa.Text()))
