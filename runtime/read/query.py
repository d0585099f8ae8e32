"""One reading statement over a snapshot, on DuckDB or on the engine. It can reach the lake's tables and
nothing else; what it may do is judged by `duckdb_sql` and `spark_sql`."""

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

    `settings` are set before it is closed: `name = 'value'`.
    """
    import duckdb

    try:
        Path.cwd()
    except FileNotFoundError:  # it was deleted, and DuckDB refuses to be closed without one
        os.chdir("/")
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")  # global: for its cursors as well
    if is_s3(root):
        let_read(connection, access)
    for setting in settings:
        connection.execute(f"set {setting}")
    for name, select in views.items():
        create_view(connection, name, select)
    # The views need the lake's files; nothing else on this machine is theirs to read.
    connection.execute(f"set allowed_directories = [{text_literal(root + '/')}]")
    connection.execute("set enable_external_access = false")
    # Python's variables are no tables.
    connection.execute("set python_enable_replacements = false")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set lock_configuration = true")
    return connection


def require_text(statement: str) -> None:
    """Raises UsageError for a statement with bytes that are no text, as a command line may hold them."""
    try:
        statement.encode()
    except UnicodeEncodeError:
        raise UsageError("query: the statement holds bytes that are not UTF-8. Write it in UTF-8.") from None


def create_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    """Give a connection the view `schema.name`; nothing changes where it has it."""
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
    """The rows of one reading statement over these tables, once `over` has made the views of those it reads.

    Raises UsageError for any other statement, or when DuckDB refuses it.
    """
    require_text(statement)
    with _refusals():
        reading, named = judged(connection, statement, tables)
    over(named)
    with _refusals(lambda said: with_nearest_column(connection, statement, said)):
        return _interruptible(connection, lambda: connection.sql(reading).to_arrow_table())


@contextmanager
def _refusals(describe: Callable[[str], str] = str) -> Iterator[None]:
    """DuckDB's errors as ours, their message as `told` makes it."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise UsageError(f"query: {describe(first_lines(error))}") from error


def _interruptible(connection: duckdb.DuckDBPyConnection, ask: Callable[[], pyarrow.Table]) -> pyarrow.Table:
    """What `ask` gives. DuckDB heeds no signal while it works, so it works beside the thread that does."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(ask)
        try:
            return answer.result()
        except BaseException:
            if not answer.done():
                connection.interrupt()
            raise
