"""What a statement in Spark's dialect may do, decided on the syntax tree that sqlglot makes of it.

Allowed parts are listed, and everything else is refused: in Spark's dialect a query can start programs
(TRANSFORM), call Java, name files as tables, and hold a DELETE. The engine runs SQL generated from the
tree.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING

from runtime.errors import UsageError
from runtime.read.duckdb_sql import folded
from runtime.text.nearest import no_such_table

if TYPE_CHECKING:
    from sqlglot import exp

KINDS = (
    "Select", "SetOperation", "Subquery", "Values", "From", "Join", "Where", "Group", "Having", "Order",
    "Ordered", "Limit", "Offset", "Distinct", "With", "CTE", "Cluster", "Distribute", "Sort", "Lateral",
    "Pivot", "PivotAlias", "PivotAny", "TableSample", "Table", "TableAlias", "Alias", "Aliases", "Column",
    "Identifier", "Star", "Literal", "RawString", "HexString", "UnicodeString", "Boolean", "Null", "Var",
    "Tuple", "Binary", "Unary", "Predicate", "Bracket", "Slice", "Window", "WindowSpec", "Qualify", "Cube",
    "Rollup", "GroupingSets", "Filter", "IgnoreNulls", "RespectNulls", "WithinGroup", "DataType",
    "DataTypeParam", "ColumnDef", "Interval", "IntervalSpan", "AtTimeZone", "JSONPath", "JSONPathPart",
)  # fmt: skip
# Functions of PySpark that call Java or Python, or reveal files.
REFUSED = {
    "reflect", "try_reflect", "java_method", "call_function", "call_udf", "udf", "udtf", "pandas_udf",
    "arrow_udf", "arrow_udtf", "input_file_name", "input_file_block_start", "input_file_block_length",
}  # fmt: skip


EXPLAIN = re.compile(r"\s*explain\s+(?P<how>(?:extended|codegen|cost|formatted)\s+)?", re.IGNORECASE)
DESCRIBE_TABLE = re.compile(r"\s*desc(?:ribe)?\s+(?:table\s+)?(?P<name>[\w.`]+)\s*;?\s*\Z", re.IGNORECASE)
DESCRIBE_QUERY = re.compile(r"\s*desc(?:ribe)?\s+(?:query\s+)?(?=select|with|values|\()", re.IGNORECASE)
SHOW_TABLES = re.compile(r"\s*show\s+tables\s*;?\s*\Z", re.IGNORECASE)


def about(statement: str) -> tuple[str, str]:
    """Split a statement into `explain …`, `describe` or '', and the query behind it."""
    if match := EXPLAIN.match(statement):
        return f"explain {match['how'] or ''}", statement[match.end() :]
    if match := DESCRIBE_TABLE.match(statement):
        return "describe", f"select * from {match['name']}"
    if match := DESCRIBE_QUERY.match(statement):
        return "describe", statement[match.end() :]
    return "", statement


def reading_query(statement: str) -> exp.Expr:
    """The syntax tree of one query. Raises UsageError for any other statement."""
    import sqlglot
    from sqlglot import exp

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of syntax that is refused below
    try:
        parsed = [p for p in sqlglot.parse(statement, read="spark") if p and not isinstance(p, exp.Semicolon)]
    except sqlglot.errors.SqlglotError as error:
        raise UsageError(f"query: {first_lines(error)}") from error
    except RecursionError:
        raise UsageError("query: the statement is nested too deeply.") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query | exp.Values):
        raise UsageError(
            "query: on an engine, expected one query (SELECT, WITH or VALUES), or EXPLAIN, DESCRIBE "
            "or SHOW TABLES; it only reads."
        )
    query = parsed[0]
    for hint in list(query.find_all(exp.Hint)):
        hint.pop()
    _require_reading(query)
    return query


def over_views(query: exp.Expr, tables: Collection[str], batch_id: int) -> tuple[str, dict[str, str]]:
    """The query's text over temporary views, and the view by lake table."""
    from sqlglot import exp

    by_name = {folded(table): table for table in tables}
    used = {}
    for table in _named_tables(query):
        name = f"{table.db}.{table.name}" if table.db else table.name
        cte = None if table.db else _ctes_of(table).get(folded(name))
        if cte is None:
            if folded(name) not in by_name or table.catalog:
                raise no_such_table("query", name, tables)
            name = by_name[folded(name)]
            used[name] = f"lake_{batch_id}_{name.replace('.', '_')}"
        if not table.alias:
            # Quoted, because a table's name may be a keyword, as `time` is.
            alias = exp.to_identifier(table.name, quoted=True)
            table.set("alias", exp.TableAlias(this=alias))
        table.set("db", None)
        # A CTE exactly as declared: Sail compares its name with case, and would look for a table.
        table.set("this", exp.to_identifier(cte or used[name], quoted=cte is not None))
    for column in query.find_all(exp.Column):
        if folded(f"{column.text('db')}.{column.table}") in by_name:
            column.set("db", None)
    return query.sql(dialect="spark", comments=False), used


def _ctes_of(part: exp.Expr) -> dict[str, str]:
    """The CTEs that a part may read: those of its enclosing queries, the innermost first.

    A CTE may read those before it; a recursive one also itself.
    """
    from sqlglot import exp

    names: dict[str, str] = {}
    inside, outer = part, part.parent
    while outer is not None:
        if isinstance(outer, exp.With):
            until = outer.expressions.index(inside) + bool(outer.recursive)
            names = {folded(cte.alias): cte.alias for cte in outer.expressions[:until]} | names
        elif (ctes := outer.args.get("with_")) is not None and ctes is not inside:
            names = {folded(cte.alias): cte.alias for cte in ctes.expressions} | names
        inside, outer = outer, outer.parent
    return names


def _named_tables(query: exp.Expr) -> Iterator[exp.Table]:
    """The tables, without table functions, which `_require_function` judges."""
    from sqlglot import exp

    for table in list(query.find_all(exp.Table)):
        if not isinstance(table.this, exp.Func):
            yield table


def _require_reading(query: exp.Expr) -> None:
    """Raise UsageError for the first part that does more than read."""
    from sqlglot import exp

    kinds = tuple(getattr(exp, name) for name in KINDS)
    for part in query.walk():
        if isinstance(part, exp.Func):
            _require_function(part)
        elif not isinstance(part, kinds):
            text = part.sql(dialect="spark", comments=False)[:60]
            raise UsageError(f"query: {text!r} is not allowed here: on an engine, query only reads tables.")


def _require_function(function: exp.Func) -> None:
    from sqlglot import exp

    if isinstance(function, exp.Anonymous | exp.AnonymousAggFunc):
        names = {str(function.name).casefold()}
        is_allowed = names <= _known_functions()
    else:
        names = {name.casefold() for name in function.sql_names()}
        is_allowed = not names & REFUSED
    if not is_allowed:
        raise UsageError(
            f"query: the function {', '.join(sorted(names))} is not allowed here: only Spark's own are, "
            "that make a value of values."
        )


@cache
def _known_functions() -> frozenset[str]:
    from pyspark.sql import functions

    return frozenset(functions.__all__) - REFUSED | {"range"}


def first_lines(error: Exception) -> str:
    """The first six lines of a message, blank lines aside."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:6])
