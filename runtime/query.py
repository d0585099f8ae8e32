"""One reading statement over a snapshot, on DuckDB or on the engine. What it may do is decided by a
parser: the statement must be a query, and it can reach the lake's tables and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.errors import UsageError
from runtime.suggest import nearest

if TYPE_CHECKING:
    import duckdb
    import pyarrow

    from runtime.engine import Engine
    from runtime.snapshot import Snapshot


def closed_connection(root: str, views: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with these views (`schema.name` → select), closed to all but the lake's files."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")  # global: for its cursors as well
    for name, select in views.items():
        schema, _, table = name.partition(".")
        connection.execute(f'create schema if not exists "{schema}"')
        connection.execute(f'create view "{schema}"."{table}" as {select}')
    # The views need the lake's files; nothing else on this machine is theirs to read.
    connection.execute(f"set allowed_directories = [{text_literal(root + '/')}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set lock_configuration = true")
    return connection


def run_on_duckdb(connection: duckdb.DuckDBPyConnection, statement: str) -> pyarrow.Table:
    """The rows of one reading statement. Raises UsageError for any other, or when DuckDB refuses it."""
    import duckdb

    try:
        parsed = connection.extract_statements(statement)
        if len(parsed) != 1:
            raise UsageError(
                f"query: expected one statement, got {len(parsed)}. Ask for one thing at a time."
            )
        if parsed[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise UsageError(
                f"query: this is a {parsed[0].type.name} statement, and query only reads: "
                "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or EXPLAIN."
            )
        return connection.sql(parsed[0]).to_arrow_table()
    except duckdb.Error as error:
        raise UsageError(f"query: {_first_lines(error)}") from error


def run_on_engine(snapshot: Snapshot, engine: Engine, statement: str) -> pyarrow.Table:
    """The rows of one query in Spark's dialect, on the engine. Raises UsageError as above."""
    from pyspark.errors import PySparkException

    rewritten, used = _spark_query(statement, snapshot)
    try:
        for name, view in used.items():
            snapshot.table(name).spark().createOrReplaceTempView(view)
        return engine.spark.sql(rewritten).toArrow()
    except PySparkException as error:
        raise UsageError(f"query: {_first_lines(error)}") from error


def _spark_query(statement: str, snapshot: Snapshot) -> tuple[str, dict[str, str]]:
    """The statement over temporary views, and the view each lake table is read through."""
    import sqlglot
    from sqlglot import exp

    try:
        parsed = [p for p in sqlglot.parse(statement, read="spark") if p is not None]
    except sqlglot.errors.SqlglotError as error:
        raise UsageError(f"query: {_first_lines(error)}") from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise UsageError("query: on an engine, expected one query (SELECT, WITH or VALUES); it only reads.")
    query = parsed[0]
    if forbidden := next((f for f in query.find_all(exp.Anonymous) if _leaves_sql(f.name)), None):
        raise UsageError(f"query: the function {forbidden.name} is not allowed here.")
    names = {cte.alias for cte in query.find_all(exp.CTE)}
    used = {}
    for table in query.find_all(exp.Table):
        name = f"{table.db}.{table.name}" if table.db else table.name
        if not table.db and table.name in names:
            continue
        if name not in snapshot.versions or table.catalog:
            raise UsageError(
                f"query: there is no table {name!r}{nearest(name, snapshot.versions) or '.'} "
                f"The lake holds: {', '.join(sorted(snapshot.versions))}."
            )
        used[name] = f"lake_{snapshot.batch_id}_{name.replace('.', '_')}"
        # Quoted: a table may be called like a keyword, as `time` is.
        alias = exp.to_identifier(table.alias or table.name, quoted=True)
        table.replace(exp.alias_(exp.to_table(used[name]), alias, table=True))
    for column in query.find_all(exp.Column):
        if f"{column.text('db')}.{column.table}" in used:
            column.set("db", None)
    return query.sql(dialect="spark"), used


def _leaves_sql(function: str) -> bool:
    """Functions through which Spark SQL calls Java, reads files or asks other services."""
    return function.lower() in {
        "reflect", "try_reflect", "java_method", "read_files", "input_file_name", "ai_query",
    }  # fmt: skip


def _first_lines(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:6])


def text_literal(value: str) -> str:
    """A text as a SQL literal, its quotes doubled."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as a SQL identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'
