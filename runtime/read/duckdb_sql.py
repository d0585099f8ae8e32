"""What a statement in DuckDB's dialect may do, decided on the syntax tree of DuckDB's own parser.

Allowed parts are listed, and everything else is refused. The closed connection is a second barrier; it does
not protect files of the lake that no batch published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.text.nearest import nearest, no_such_table

if TYPE_CHECKING:
    import duckdb

EXPLAIN = re.compile(r"\s*explain\b(?P<analyze>\s+analyze\b)?", re.IGNORECASE)
# DuckDB's SHOW TABLES lists one schema, and the lake's tables are in three.
SHOW_TABLES = re.compile(r"\s*show\s+tables\s*;?\s*\Z", re.IGNORECASE)
TABLES = "select table_schema || '.' || table_name as name from information_schema.tables order by name"
QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
SOURCES = {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
# Scalar functions that reveal the machine, or have side effects.
REFUSED = {
    "current_setting", "getenv", "write_log", "nextval", "currval", "setval", "sleep_ms", "pg_sleep",
    "json_serialize_plan",
}  # fmt: skip
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
NO_COLUMN = re.compile(r'Values list "(?P<owner>.+)" does not have a column named "(?P<column>.+)"')
READS = "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or EXPLAIN of one of these"


def judged(
    connection: duckdb.DuckDBPyConnection, statement: str, tables: Collection[str]
) -> tuple[str, Collection[str]]:
    """The statement to run, and those of these tables that it reads. It reads nothing else.

    Raises UsageError, duckdb.Error.
    """
    import duckdb

    if SHOW_TABLES.match(statement):
        return TABLES, tables
    parsed = connection.extract_statements(statement)
    if len(parsed) != 1:
        raise UsageError(f"query: expected one statement, got {len(parsed)}. Ask for one thing at a time.")
    if parsed[0].type == duckdb.StatementType.EXPLAIN:
        return _explained(connection, statement, tables)
    _require(parsed[0].type == duckdb.StatementType.SELECT, f"a {parsed[0].type.name} statement")
    tree = _tree(connection, statement)
    _require_reading(tree, tables)
    return statement, _named(tree, tables)


def _explained(
    connection: duckdb.DuckDBPyConnection, statement: str, tables: Collection[str]
) -> tuple[str, Collection[str]]:
    """EXPLAIN, rebuilt around the judged query, so that nothing else runs."""
    begin = EXPLAIN.match(statement)
    if begin is None:
        raise UsageError("query: EXPLAIN must be the first word of its statement.")
    inner, used = judged(connection, statement[begin.end() :], tables)
    return f"explain {'analyze' if begin['analyze'] else ''} {inner}", used


def with_nearest_column(connection: duckdb.DuckDBPyConnection, statement: str, message: str) -> str:
    """DuckDB's message, with the nearest column for `table.column` too, where it suggests none."""
    wrong = NO_COLUMN.search(message)
    if wrong is None:
        return message
    owner = wrong["owner"]
    columns = [c for table in _called(connection, statement, owner) for c in connection.table(table).columns]
    return message.replace(wrong[0], wrong[0] + nearest(wrong["column"], columns, f"{owner}."))


def _called(connection: duckdb.DuckDBPyConnection, statement: str, name: str) -> Iterator[str]:
    """The tables that a statement refers to by this name or alias."""
    if begin := EXPLAIN.match(statement):
        statement = statement[begin.end() :]
    for part in _parts(_tree(connection, statement)):
        if part.get("type") == "BASE_TABLE" and part["schema_name"]:
            called = part["alias"] or part["table_name"]
            if called.casefold() == name.casefold():
                yield f"{part['schema_name']}.{part['table_name']}"


def _tree(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    # fetchall: a result with unread rows blocks the next statement of the connection.
    ((text,),) = connection.execute("select json_serialize_sql(?::varchar)", [statement]).fetchall()
    try:
        tree = json.loads(text)
    except RecursionError:
        raise UsageError("query: the statement is nested too deeply.") from None
    if tree.get("error", True):
        raise UsageError(f"query: the statement cannot be judged: {tree.get('error_message', 'no tree')}")
    return tree


def _require_reading(tree: Any, tables: Collection[str]) -> None:
    """Raise UsageError for the first part that does more than read these tables."""
    known = {folded(table) for table in tables}
    for part, ctes in _scoped(tree):
        kind = str(part.get("type", ""))
        if kind.endswith("_NODE"):
            _require(kind in QUERIES, f"a {kind.partition('_')[0]}")
        elif kind == "TABLE_FUNCTION":
            _require_function(part["function"]["function_name"], part["function"]["function_name"] in SOURCES)
        elif kind == "BASE_TABLE":
            _require_table(part, known, ctes, tables)
        elif part.get("class") == "FUNCTION":
            _require_function(part["function_name"], part["function_name"].casefold() not in REFUSED)


def folded(name: str) -> str:
    """A name as databases compare it: only ASCII letters lose their case.

    Python's casefold also maps the Kelvin sign to k, so a file could pass for a CTE of another name.
    """
    return name.translate(LOWER)


def _named(tree: Any, tables: Collection[str]) -> Collection[str]:
    """The tables that a statement reads; all of them where it reads, or may read, the catalogue."""
    sources = [part for part in _parts(tree) if str(part.get("type", "")) in ("BASE_TABLE", "SHOW_REF")]
    if any(p["type"] == "SHOW_REF" or p["schema_name"].casefold() == "information_schema" for p in sources):
        return tables
    read = {f"{part['schema_name']}.{part['table_name']}".casefold() for part in sources}
    return [table for table in tables if table.casefold() in read]


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _scoped(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every part, with the names of the CTEs that it may read: those of its enclosing queries.

    A CTE may read those before it; a recursive one also itself.
    """
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        part, names = waiting.pop()
        if isinstance(part, list):
            waiting.extend((item, names) for item in part)
        if not isinstance(part, dict):
            continue
        own = {name: value for name, value in part.items() if name != "cte_map"}
        for cte in _ctes(part):
            waiting.append((cte["value"], names))
            names |= {folded(cte["key"])}
        yield part, names
        if part.get("type") == "RECURSIVE_CTE_NODE":
            waiting.append((own.pop("right"), names | {folded(part["cte_name"])}))
        waiting.extend((value, names) for value in own.values())


def _ctes(part: dict[str, Any]) -> list[dict[str, Any]]:
    ctes = part.get("cte_map")
    return list(ctes["map"]) if isinstance(ctes, dict) else []


def _require_table(
    part: dict[str, Any], known: Collection[str], ctes: Collection[str], tables: Collection[str]
) -> None:
    schema, table = part["schema_name"], part["table_name"]
    name = f"{schema}.{table}" if schema else table
    is_known = folded(name) in known or (folded(schema) == "information_schema" and table.isidentifier())
    is_cte = not schema and folded(table) in ctes
    if part["catalog_name"] or not (is_known or is_cte):
        raise no_such_table("query", name, tables)


def _require(is_reading: bool, what: str) -> None:
    if not is_reading:
        raise UsageError(f"query: this is {what}, and query only reads: {READS}.")


def _require_function(name: str, is_allowed: bool) -> None:
    if not is_allowed:
        raise UsageError(
            f"query: the function {name} is not allowed here: query reads the tables of the lake as a batch "
            "published them, and neither files nor settings."
        )
