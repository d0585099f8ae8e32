"""Rows of a snapshot by the values of some columns, and the row nearest to a missing key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runtime.errors import UsageError
from runtime.read.keys import Key, key_columns, key_literal, key_text
from runtime.read.snapshot import Snapshot
from runtime.read.sql import quoted
from runtime.read.trace.tree import Found, Record
from runtime.table import Table

Row = Mapping[str, Any]


def rows_where(
    snapshot: Snapshot,
    table: Table,
    values: Mapping[str, object],
    rest: str = "",
    alike: Callable[[str], str] = str,
) -> list[Row]:
    """The rows with these values, with all columns; `rest` follows the where clause.

    `alike` turns the SQL of a text into the form that is compared.
    """
    types = {column.name: column for column in table.columns}
    as_compared = {name: alike if column.type == "string" else str for name, column in types.items()}
    same = [
        f"{quoted(name)} is null"
        if v is None
        else f"{as_compared[name](quoted(name))} = {as_compared[name](key_literal(types[name], v))}"
        for name, v in values.items()
    ]
    return ask(snapshot, f"from {in_sql(table)} where {' and '.join(same)} {rest}")


def ask(snapshot: Snapshot, statement: str) -> list[Row]:
    """The rows of a statement over the snapshot's tables."""
    rows: list[Row] = snapshot.sql(statement).to_pylist()
    return rows


def in_sql(table: Table) -> str:
    """The quoted name of the table's view."""
    return ".".join(quoted(part) for part in table.name.split("."))


def key_of(table: Table, row: Row) -> Key:
    """The values of a row's key columns."""
    return tuple(row[column.name] for column in key_columns(table))


def found(
    relation: str,
    table: Table,
    row: Row,
    note: str = "",
    *,
    only: Iterable[str] | None = None,
    sources: Iterable[Found | Record] = (),
) -> Found:
    """A row as a node of the tree, without its key: the columns `only`, or all that do not begin with `_`."""
    key_names = {column.name for column in key_columns(table)}
    values = {name: row[name] for name in only or table.content if name not in key_names}
    return Found(relation, table.name, key_text(key_of(table, row)), values, note, tuple(sources))


def one_row(snapshot: Snapshot, table: Table, key: Key) -> Row:
    """The row of a key. Raises UsageError with the nearest key where there is none."""
    columns = key_columns(table)
    rows = rows_where(snapshot, table, {c.name: v for c, v in zip(columns, key, strict=True)})
    if rows:
        return rows[0]
    near = _nearest(snapshot, table, key)
    hint = f"; the nearest is {near}." if near else ": the table is empty."
    raise UsageError(f"trace: {table.name} has no row {key_text(key)} as of batch {snapshot.batch_id}{hint}")


def _nearest(snapshot: Snapshot, table: Table, key: Key) -> str | None:
    columns = key_columns(table)
    distances = [_distance(c.name, c.type, key_literal(c, v)) for c, v in zip(columns, key, strict=True)]
    names = ", ".join(quoted(c.name) for c in columns)
    order = ", ".join([*distances, names])
    rows = ask(snapshot, f"select {names} from {in_sql(table)} order by {order} limit 1")
    return key_text(key_of(table, rows[0])) if rows else None


def _distance(name: str, type_: str, value: str) -> str:
    if type_ == "string":
        return f"jaro_winkler_similarity({quoted(name)}, {value}) desc"
    if type_ == "timestamp":
        return f"abs(epoch_us({quoted(name)}) - epoch_us({value}))"
    return f"abs({quoted(name)}::hugeint - {value})"


def agrees(row: Row, other: Row, pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether two rows have equal values in these pairs of columns."""
    return all(row[ours] == other[theirs] for ours, theirs in pairs)
