"""Alembic's environment: runs on the connection the store hands it."""

from alembic import context

from orchestrator.store.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
