"""Databases by URL: which there may be, how they are opened, and what of them may be told."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sql

from resnet_space.errors import InputError, unknown
from search.machine.mounts import mounts, network_mount

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

TURN = 1603_05027
"""Any number that is ours: of the lock that transactions wait for which go one at a time."""
ALTERNATIVE = "--storage postgresql+psycopg://USER@HOST/DATABASE"

DATABASES = ("sqlite", "postgresql")
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)
"""What the name of a secret in a URL's query has in it."""


def connect(url: str | sql.URL, *, new: bool) -> sql.Engine:
    """A database to read and write, or without `new` to read alone: nothing in it is made or changed.

    Raises:
        InputError: no such database, or none that we speak to. What goes wrong later is an InputError too, unless it
            is a fault of ours.
    """
    try:
        # A server may have been restarted since the last word with it.
        engine = sql.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise InputError(
            f"storage {shown(url)!r}: {error}; install resnet-space[postgresql], and write postgresql+psycopg://..."
        ) from None
    except (sql.exc.SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        raise InputError(f"storage {shown(url)!r}: {_first_line(error, url)}") from None
    kind, file = engine.dialect.name, engine.url.database
    if kind not in DATABASES:
        raise unknown("database", kind, DATABASES, path=f"storage {shown(url)!r}")
    if kind == "sqlite" and not new and not Path(str(file)).is_file():
        raise InputError(f"storage {shown(url)!r}: there is no such file")
    if kind == "sqlite" and new and file and (mount := network_mount(Path(file), mounts())):
        raise InputError(
            f"storage {shown(url)!r}: {mount[0]} is a network file system ({mount[1]}), on which SQLite may lose what "
            f"it was given; choose {ALTERNATIVE}, or an --out on a disk of this machine"
        )

    @sql.event.listens_for(engine, "handle_error")
    def _told(context: sql.engine.ExceptionContext) -> None:
        """What a statement of ours may not do is our fault; all else is the database's state."""
        fault = context.sqlalchemy_exception
        if not isinstance(fault, sql.exc.ProgrammingError | sql.exc.IntegrityError | None):
            remedy = _remedy(context.original_exception, engine.url)
            raise InputError(f"storage {shown(url)!r}: {_first_line(fault, url)}{remedy}") from None

    if kind == "sqlite":
        sql.event.listen(engine, "connect", _durable if new else _untouched)
    elif not new:
        sql.event.listen(engine, "connect", _unwritten)
    return engine


def check(engine: sql.Engine) -> None:
    """See that every page of an SQLite file is where it is looked for.

    Raises:
        InputError: the file is damaged.
    """
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        if found != "ok":
            raise InputError(
                f"storage {shown(engine.url)!r}: damaged: {found.splitlines()[-1]}{how_to_repair(engine.url)}"
            )


def how_to_repair(url: sql.URL) -> str:
    """What helps a damaged database, if it is the one of a run's folder."""
    file = Path(url.database or "")
    known = url.get_backend_name() == "sqlite" and file.name == "trials.db"
    return f"; `resnet-space repair {file.parent}` recovers what can be read" if known else ""


def _remedy(error: BaseException | None, url: sql.URL) -> str:
    """What helps, of what SQLite complains of."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return how_to_repair(url)
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return "; is the disk full? What was stored stays, and the same command goes on from there"
    return ""


@contextmanager
def writing(engine: sql.Engine, *, one_at_a_time: bool = False) -> Iterator[sql.Connection]:
    """A transaction to write in: all of it is on disk behind this, or nothing.

    Args:
        one_at_a_time: such transactions wait for each other, so that those of several rows never wait in a circle.
            SQLite has one writer at a time anyway, who reads what nobody changes before it writes.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif one_at_a_time:
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock(TURN)))
            yield connection
    except UnicodeDecodeError:
        # Of what SQLite says, where the damage is in the text of its own tables.
        raise InputError(f"storage {shown(engine.url)!r}: damaged{how_to_repair(engine.url)}") from None


@contextmanager
def reading(engine: sql.Engine) -> Iterator[sql.Connection]:
    """A connection to ask with.

    Raises:
        InputError: what comes is not what was written there.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, LookupError, RecursionError, sqlite3.Error) as error:
        what = f"damaged: {_first_line(error, engine.url)}{how_to_repair(engine.url)}"
        raise InputError(f"storage {shown(engine.url)!r}: {what}") from None


def checked(kind: type[T], rows: Iterable[sql.RowMapping]) -> list[T]:
    """Rows as records of a dataclass.

    Raises:
        ValueError: a row has not what its fields are to have.
    """
    from pydantic import TypeAdapter, ValidationError

    validate = TypeAdapter(kind).validate_python
    try:
        return [validate(dict(row)) for row in rows]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r:.40}") from None


def numbers(frame: pd.DataFrame, columns: Iterable[sql.Column[Any]]) -> pd.DataFrame:
    """The frame, if what is to be numbers is finite numbers, or nothing.

    Raises:
        ValueError: it is not.
    """
    import numpy as np
    import pandas as pd

    for column in columns:
        if isinstance(column.type, sql.Integer | sql.Float):
            values = pd.to_numeric(frame[column.name])
            if np.isinf(values.to_numpy(dtype=float)).any():
                raise ValueError(f"{column.name}: an infinite number")
    return frame


def name(url: sql.URL) -> str:
    """The URL to find a database by, without its secrets."""
    query = {key: value for key, value in url.query.items() if not SECRET.search(key)}
    return sql.URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, query
    ).render_as_string()


def shown(url: str | sql.URL) -> str:
    """A URL for people to read: without its secrets, even where it is no proper URL."""
    masked = re.sub(r"://([^:/@]*):.*@", r"://\1:***@", str(url))
    return re.sub(rf"([?&][^=&]*(?:{SECRET.pattern})[^=&]*=)[^&]*", r"\1***", masked, flags=re.IGNORECASE)


def _first_line(error: BaseException, url: str | sql.URL) -> str:
    """What went wrong, without the password, whatever told it."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    try:
        password = sql.make_url(url).password
    except (sql.exc.SQLAlchemyError, ValueError, TypeError):
        password = None
    return line.replace(str(password), "***") if password else line


def _durable(connection: sqlite3.Connection, _: Any) -> None:
    """SQLite: what is committed survives a kill and a power cut, and readers do not block the writer."""
    _pragmas(
        connection,
        "busy_timeout=10000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    )


def _untouched(connection: sqlite3.Connection, _: Any) -> None:
    """SQLite, perhaps a stranger's file, or one of yours that a stranger named."""
    _pragmas(connection, "busy_timeout=10000", "query_only=ON", "trusted_schema=OFF")


def _unwritten(connection: Any, _: Any) -> None:
    """PostgreSQL, to read alone."""
    connection.read_only = True


def _pragmas(connection: sqlite3.Connection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
