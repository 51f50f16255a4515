"""Opening the database: pragmas, migrations, the one session scope, retries."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from orchestrator.errors import StoreError
from orchestrator.settings import sqlite_url
from orchestrator.sqlite_files import make_whole
from orchestrator.store.schema import REVISION

log = logging.getLogger(__name__)
T = TypeVar("T")
MIGRATION_LOCK = 7_215_001
NO_STORE = (
    "the file has no tables of a store: it was emptied, or is something else; "
    "put a backup in its place, or move it away to begin a new store"
)


class Database:
    """An engine, its sessions, and whether it is SQLite.

    Attributes:
        engine: for readers; :meth:`write` has one that takes SQLite's write lock at once.
        read_only: whether it is a file that this process may read but not write.
    """

    #: how long a lost PostgreSQL server is waited for
    PATIENCE_SECONDS = 300.0

    def __init__(self, url: str, *, create: bool = True, _new: bool = False) -> None:
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                url = "postgresql+psycopg://" + url.removeprefix(short)
        try:
            parsed = sa.make_url(url)
            self.sqlite = parsed.get_backend_name() == "sqlite"
            self.shown = parsed.render_as_string(hide_password=True)
            if self.sqlite and parsed.database in (None, "", ":memory:"):
                raise StoreError(
                    f"store {url}: a database in memory is gone when the program ends; "
                    "allowed: sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
                )
            path = Path(parsed.database or "") if self.sqlite else None
            if path is not None and not path.exists():
                if not create:
                    raise StoreError(
                        f"store {self.shown}: nothing was run yet; start with: dvta-orch sweep SPEC"
                    )
                if not _new:
                    make_whole(path, _make)
            if path is not None and not _new and path.stat().st_size == 0:
                raise StoreError(f"store {self.shown}: {NO_STORE}")
            self.read_only = path is not None and path.exists() and not _is_writable(path)
            if path is not None and self.read_only:
                parsed = _for_reading(parsed, path)
            arguments: dict[str, Any] = (
                {"connect_args": {"timeout": 60}} if self.sqlite else {"pool_pre_ping": True}
            )
            writing = sa.create_engine(parsed, **arguments)
        except (ArgumentError, ImportError, OSError) as error:
            raise StoreError(f"store {url.rpartition('@')[2]}: {error}") from error
        except ValueError:
            raise StoreError(
                f"store {url.rpartition('@')[2]}: the port is not a number; "
                "allowed: sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
            ) from None
        if self.sqlite:
            sa.event.listen(writing, "connect", self._pragmas)
            sa.event.listen(writing, "begin", _begin)
        self.engine = writing.execution_options(reading=True)
        self._write_session = sessionmaker(writing, expire_on_commit=False)
        self._read_session = sessionmaker(self.engine, expire_on_commit=False)
        try:
            self._migrate(path, _new)
        except SQLAlchemyError as error:
            raise StoreError(f"store {self.shown}: cannot be opened ({_first_line(error)})") from error
        self._path, self._file = path, None if path is None else _identity(path)

    def check_place(self) -> None:
        """Check that the file which is written is still the one at its path.

        Raises:
            StoreError: it was deleted, or another took its place.
        """
        if not self._is_in_place():
            raise StoreError(
                f"store {self.shown}: the file was deleted or replaced while it was written; what was "
                "recorded since is lost, run the same command again"
            )

    def check_whole(self) -> None:
        """Check that every page of an SQLite file can be read; a server looks after its own.

        Raises:
            StoreError: the file is damaged.
        """
        if not self.sqlite:
            return
        found = self.read(lambda session: session.scalar(sa.text("PRAGMA quick_check(1)")))
        if found != "ok":
            raise StoreError(
                f"store {self.shown}: the file is damaged ({str(found).splitlines()[-1]}); put a backup in its "
                f"place, or rescue what is left with: sqlite3 {self._path} .recover"
            )

    def _is_in_place(self) -> bool:
        return self._path is None or _identity(self._path) == self._file

    def write(self, doing: str, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a transaction; again, where the server went away meanwhile.

        Raises:
            StoreError: the database refused; the message says what was being done.
        """
        if self.read_only:
            raise StoreError(f"store {self.shown}: failed {doing} (the file or its folder cannot be written)")
        return self._patiently(self._write_session, doing, work)

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work``, which only reads, like :meth:`write`; it waits for no writer of an SQLite file."""
        return self._patiently(self._read_session, "reading", work)

    def _patiently(self, sessions: sessionmaker[Session], doing: str, work: Callable[[Session], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(lambda error: _is_passing(error) and self._is_in_place()),
            stop=stop_after_delay(self.PATIENCE_SECONDS),
            wait=wait_exponential(0.1, max=5.0),
            before_sleep=lambda state: log.warning("store %s: waiting to finish %s", self.shown, doing),
            reraise=True,
        )
        try:
            done: T = retrying(_once, sessions, work)
            return done
        except SQLAlchemyError as error:
            self.check_place()
            raise StoreError(f"store {self.shown}: failed {doing} ({_first_line(error)})") from error

    def now(self, session: Session) -> float:
        """Return the database's clock, Unix seconds (this machine's for SQLite)."""
        if self.sqlite:
            return time.time()
        return float(session.scalar(sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))) or 0.0)

    def revision(self) -> str | None:
        """Return the schema's revision, None for an empty database."""
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))

    def _pragmas(self, connection: Any, record: object) -> None:
        # transactions are begun by _begin
        connection.isolation_level = None
        writing = () if self.read_only else ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
        for pragma in ("busy_timeout=60000", *writing):
            connection.execute(f"PRAGMA {pragma}")

    def _migrate(self, path: Path | None, new: bool) -> None:
        found = self.revision()
        if found is None and path is not None and not new:
            raise StoreError(f"store {self.shown}: {NO_STORE}")
        if found == REVISION:
            return
        if found is not None and found > REVISION:
            raise StoreError(
                f"store {self.shown}: its schema {found} is newer than this program's {REVISION}; "
                "update dvta-orch, or use another store"
            )
        if self.read_only:
            raise StoreError(
                f"store {self.shown}: its schema {found or '(none)'} is older than this program's {REVISION}, "
                "and the file or its folder cannot be written; upgrade it with: dvta-orch db upgrade"
            )
        if found is not None and path is not None:
            backup = path.with_name(f"{path.name}.before-{REVISION}")
            with contextlib.closing(self.engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copy2(path, backup)
            log.warning("store %s: schema %s is upgraded; the backup is %s", self.shown, found, backup)
        from alembic import command
        from alembic.config import Config

        logging.getLogger("alembic").setLevel(logging.WARNING)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._write_session() as session, session.begin():
            connection = session.connection()
            if not self.sqlite:
                # two drivers may find an empty database at the same moment
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _make(path: Path) -> None:
    Database(sqlite_url(path), _new=True).engine.dispose()


def _begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _once(sessions: sessionmaker[Session], work: Callable[[Session], T]) -> T:
    with sessions() as session, session.begin():
        return work(session)


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _for_reading(url: sa.URL, path: Path) -> sa.URL:
    """Return the URL that reads an SQLite file beside which no file can be made."""
    if path.with_name(f"{path.name}-wal").exists():
        return url  # somebody writes it, and their files are used
    query = {"immutable": "1", "uri": "true"}
    return url.set(database=f"file:{quote(str(path.resolve()))}", query=query)


def _is_passing(error: BaseException) -> bool:
    """Whether the database was out of reach rather than unwilling."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or isinstance(error, OperationalError)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
