"""Open databases by URL, run transactions on them, and turn their errors into messages without secrets."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sql

from resnet_space.errors import InputError, unknown
from search.machine.mounts import mounts, network_mount

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

ADVISORY_LOCK = 1603_05027
"""The number of the PostgreSQL advisory lock that makes some transactions run one at a time. Any number will do."""
ALTERNATIVE = "--storage postgresql+psycopg://USER@HOST/DATABASE"

DATABASES = ("sqlite", "postgresql")
SECRET_NAME = re.compile(r"pass|secret|token|key", re.IGNORECASE)
"""Matches the names of query parameters of a URL whose values are secret."""


def connect(url: str | sql.URL, *, new: bool) -> sql.Engine:
    """Return an engine for a database; without `new` it is read-only, and nothing is created or changed.

    Raises:
        InputError: there is no such database, or its kind is not supported. Later errors of the database are raised
            as InputError too, except programming errors.
    """
    try:
        # Pre-ping: the server can have restarted since the last statement.
        engine = sql.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise InputError(
            f"storage {masked(url)!r}: {error}; install resnet-space[postgresql], and write postgresql+psycopg://..."
        ) from None
    except (sql.exc.SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        raise InputError(f"storage {masked(url)!r}: {_first_line(error, url)}") from None
    kind, file = engine.dialect.name, engine.url.database
    if kind not in DATABASES:
        raise unknown("database", kind, DATABASES, path=f"storage {masked(url)!r}")
    if kind == "sqlite" and not new and not Path(str(file)).is_file():
        raise InputError(f"storage {masked(url)!r}: there is no such file")
    if kind == "sqlite" and new and file and (mount := network_mount(Path(file), mounts())):
        raise InputError(
            f"storage {masked(url)!r}: {mount[0]} is a network file system ({mount[1]}), on which SQLite can lose "
            f"data; choose {ALTERNATIVE}, or an --out on a disk of this machine"
        )

    @sql.event.listens_for(engine, "handle_error")
    def _as_input_error(context: sql.engine.ExceptionContext) -> None:
        """Raise database errors as InputError. A wrong statement is a bug of this package and stays as it is."""
        fault = context.sqlalchemy_exception
        if not isinstance(fault, sql.exc.ProgrammingError | sql.exc.IntegrityError | None):
            hint = _hint(context.original_exception, engine.url)
            raise InputError(f"storage {masked(url)!r}: {_first_line(fault, url)}{hint}") from None

    if kind == "sqlite":
        sql.event.listen(engine, "connect", _set_durable if new else _set_query_only)
    elif not new:
        sql.event.listen(engine, "connect", _set_read_only)
    return engine


def check_integrity(engine: sql.Engine) -> None:
    """Check the structure of an SQLite file with `PRAGMA quick_check`; other databases are not checked.

    Raises:
        InputError: the file is damaged.
    """
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        if found != "ok":
            raise InputError(
                f"storage {masked(engine.url)!r}: damaged: {found.splitlines()[-1]}{repair_hint(engine.url)}"
            )


def repair_hint(url: sql.URL) -> str:
    """Return the advice for a damaged database, starting with "; "; empty if it is not in a run's folder."""
    file = Path(url.database or "")
    known = url.get_backend_name() == "sqlite" and file.name == "trials.db"
    return f"; `resnet-space repair {file.parent}` recovers what can be read" if known else ""


def _hint(error: BaseException | None, url: sql.URL) -> str:
    """Return the advice for an SQLite error, starting with "; "; empty if there is none."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return repair_hint(url)
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return "; is the disk full? What was stored is safe, and the same command resumes from there"
    return ""


@contextmanager
def writing(engine: sql.Engine, *, one_at_a_time: bool = False, wait_for_disk: bool = True) -> Iterator[sql.Connection]:
    """A write transaction: after it, all of its changes are stored, or none.

    Args:
        one_at_a_time: run such transactions one after another, so that those that lock several rows cannot deadlock.
            SQLite has one writer at a time anyway, and takes its lock before the first read.
        wait_for_disk: return only when the changes, and all earlier ones, are on disk. Without it they survive a kill
            of this process, but the last ones can be lost if the machine of the database loses power.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Before the transaction: inside it, SQLite does not change this setting.
                connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if wait_for_disk else 'NORMAL'}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                if one_at_a_time:
                    connection.execute(sql.select(sql.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
                if not wait_for_disk:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection
    except UnicodeDecodeError:
        # SQLite's own error message can contain damaged text.
        raise InputError(f"storage {masked(engine.url)!r}: damaged{repair_hint(engine.url)}") from None


def insert(engine: sql.Engine, table: sql.Table) -> Any:
    """Return an INSERT in the database's dialect, which has ON CONFLICT."""
    return import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert(table)


@contextmanager
def reading(engine: sql.Engine) -> Iterator[sql.Connection]:
    """A connection for reading.

    Raises:
        InputError: the database is damaged: a row is not as it was written.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, LookupError, RecursionError, sqlite3.Error) as error:
        what = f"damaged: {_first_line(error, engine.url)}{repair_hint(engine.url)}"
        raise InputError(f"storage {masked(engine.url)!r}: {what}") from None


def validated(kind: type[T], rows: Iterable[sql.RowMapping]) -> list[T]:
    """Return rows as records of a dataclass, with the types of all fields checked.

    Raises:
        ValueError: a value does not fit its field.
    """
    from pydantic import TypeAdapter, ValidationError

    validate = TypeAdapter(kind).validate_python
    try:
        return [validate(dict(row)) for row in rows]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r:.40}") from None


def finite(frame: pd.DataFrame, columns: Iterable[sql.Column[Any]]) -> pd.DataFrame:
    """Return the frame unchanged if all values of its numeric columns are finite or missing.

    Raises:
        ValueError: a numeric column has text or an infinite number.
    """
    import numpy as np
    import pandas as pd

    for column in columns:
        if isinstance(column.type, sql.Integer | sql.Float):
            values = pd.to_numeric(frame[column.name])
            if np.isinf(values.to_numpy(dtype=float)).any():
                raise ValueError(f"{column.name}: an infinite number")
    return frame


def without_secrets(url: sql.URL) -> str:
    """Return the URL without its secrets, as a manifest stores it."""
    query = {key: value for key, value in url.query.items() if not SECRET_NAME.search(key)}
    return sql.URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, query
    ).render_as_string()


def masked(url: str | sql.URL) -> str:
    """Return the URL as messages show it: secrets replaced by ***, even if the URL is malformed."""
    masked = re.sub(r"://([^:/@]*):.*@", r"://\1:***@", str(url))
    return re.sub(rf"([?&][^=&]*(?:{SECRET_NAME.pattern})[^=&]*=)[^&]*", r"\1***", masked, flags=re.IGNORECASE)


def _first_line(error: BaseException, url: str | sql.URL) -> str:
    """Return the first line of an error's text, with the password masked."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    try:
        password = sql.make_url(url).password
    except (sql.exc.SQLAlchemyError, ValueError, TypeError):
        password = None
    return line.replace(str(password), "***") if password else line


def _set_durable(connection: sqlite3.Connection, _: Any) -> None:
    """SQLite: commits survive a kill, and readers do not block the writer. `writing` sets what survives a power cut."""
    _pragmas(
        connection,
        "busy_timeout=10000",
        "journal_mode=WAL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    )


def _set_query_only(connection: sqlite3.Connection, _: Any) -> None:
    """SQLite: read only, and trust nothing in the schema. The file, or the path to it, can come from somebody else."""
    _pragmas(connection, "busy_timeout=10000", "query_only=ON", "trusted_schema=OFF")


def _set_read_only(connection: Any, _: Any) -> None:
    """PostgreSQL: read only."""
    connection.read_only = True


def _pragmas(connection: sqlite3.Connection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
