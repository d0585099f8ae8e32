"""One reading statement over a snapshot, on DuckDB or on the engine. It can reach the lake's tables and
nothing else; what it may do is judged by `dialect_duckdb` and `dialect_spark`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.dialect_duckdb import judged, with_nearest_column
from runtime.dialect_spark import SHOW_TABLES, about, first_lines, over_views, reading_query
from runtime.errors import UsageError, first_line, is_file_gone
from runtime.s3.access import AWS, Access, is_s3
from runtime.s3.duckdb import let_read

if TYPE_CHECKING:
    import duckdb
    import pyarrow
    from pyspark.sql import DataFrame

    from runtime.engine import Engine
    from runtime.snapshot import Snapshot


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
def _refusals(told: Callable[[str], str] = str) -> Iterator[None]:
    """DuckDB's errors as ours, their message as `told` makes it."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise UsageError(f"query: {told(first_lines(error))}") from error


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


def run_on_engine(snapshot: Snapshot, engine: Engine, statement: str) -> pyarrow.Table:
    """The rows of one query in Spark's dialect, on the engine. Raises UsageError as above."""
    require_text(statement)
    from pyspark.errors import PySparkException

    if SHOW_TABLES.match(statement):
        return _names(snapshot)
    asked, statement = about(statement)
    rewritten, used = over_views(reading_query(statement), snapshot.versions, snapshot.batch_id)
    try:
        for name, view in used.items():
            snapshot.table(name).spark().createOrReplaceTempView(view)
        if asked == "describe":
            return _columns(engine.spark.sql(rewritten))
        return engine.spark.sql(asked + rewritten).toArrow()
    except PySparkException as error:
        if is_file_gone(error, snapshot.store.root):
            raise snapshot.damaged(first_line(error)) from error
        raise UsageError(f"query: {first_lines(error)}") from error


def _columns(rows: DataFrame) -> pyarrow.Table:
    """DESCRIBE: not every engine does it for a query."""
    import pyarrow

    types = {field.name: field.dataType.simpleString() for field in rows.schema}
    return pyarrow.table({"col_name": list(types), "data_type": list(types.values())})


def _names(snapshot: Snapshot) -> pyarrow.Table:
    """SHOW TABLES over all layers: an engine lists those of its own catalogue."""
    import pyarrow

    return pyarrow.table({"name": sorted(snapshot.versions)})


def text_literal(value: str) -> str:
    """A text as a SQL literal, its quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as a SQL identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'
