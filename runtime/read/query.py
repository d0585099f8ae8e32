"""One read-only statement over a snapshot, on DuckDB or on the engine.

It can read only the lake's tables; `duckdb_sql` and `spark_sql` decide what it may do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import UsageError
from runtime.read.duckdb_sql import judged, with_nearest_column
from runtime.read.spark_sql import first_lines
from runtime.read.sql import text_literal
from runtime.s3.config import AWS, Access, is_s3
from runtime.s3.duckdb import let_read

if TYPE_CHECKING:
    import duckdb
    import pyarrow


def closed_connection(
    root: str, views: Mapping[str, str], access: Access = AWS, settings: Sequence[str] = ()
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with these views (`schema.name` → select), closed to all but the lake's files.

    `settings` (`name = 'value'`) are set before access is closed.
    """
    import duckdb

    try:
        Path.cwd()
    except FileNotFoundError:  # the folder was deleted, and DuckDB needs one here
        os.chdir("/")
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")  # global: also for cursors
    if is_s3(root):
        let_read(connection, access)
    for setting in settings:
        connection.execute(f"set {setting}")
    for name, select in views.items():
        create_view(connection, name, select)
    # The views need the lake's files, and nothing else on this machine.
    connection.execute(f"set allowed_directories = [{text_literal(root + '/')}]")
    connection.execute("set enable_external_access = false")
    # A statement must not read Python variables as tables.
    connection.execute("set python_enable_replacements = false")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set lock_configuration = true")
    return connection


def require_text(statement: str) -> None:
    """Raise UsageError for a statement that is not UTF-8, which a command line can pass."""
    try:
        statement.encode()
    except UnicodeEncodeError:
        raise UsageError("query: the statement holds bytes that are not UTF-8. Write it in UTF-8.") from None


def create_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """Create the view `schema.name` unless it exists."""
    schema, _, table = name.partition(".")
    connection.execute(
        f'create schema if not exists "{schema}"; create view if not exists "{schema}"."{table}" as {select}'
    )


def run_on_duckdb(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    tables: Collection[str],
    over: Callable[[Collection[str]], object],
) -> pyarrow.Table:
    """The rows of one read-only statement; `over` creates the views of the tables that it reads.

    Raises UsageError for any other statement, or when DuckDB refuses it.
    """
    require_text(statement)
    with _refusals():
        reading, used = judged(connection, statement, tables)
    over(used)
    with _refusals(lambda message: with_nearest_column(connection, statement, message)):
        return _interruptible(connection, lambda: connection.sql(reading).to_arrow_table())


@contextmanager
def _refusals(describe: Callable[[str], str] = str) -> Iterator[None]:
    """Raise UsageError for DuckDB's errors; `describe` edits their message."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise UsageError(f"query: {describe(first_lines(error))}") from error


def _interruptible(connection: duckdb.DuckDBPyConnection, ask: Callable[[], pyarrow.Table]) -> pyarrow.Table:
    """Run `ask` in a second thread: DuckDB ignores signals while it works, so this thread waits for them."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        try:
            return answer.result()
        except BaseException:
            if not answer.done():
                connection.interrupt()
            raise
