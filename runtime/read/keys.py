"""Keys of rows, and how a person writes them: `15`, `SOABC…`, `2018-11-21T21:56:47Z`, `3:17`.

A colon joins several columns, in order: the key of a record is its delivery and line, `3:17`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from runtime.errors import UsageError
from runtime.read.sql import text_literal
from runtime.table import Merge, Table, Upsert
from runtime.table.schema import Column

BITS = {"int": 31, "bigint": 63}
Key = tuple[Any, ...]


def key_columns(table: Table) -> tuple[Column, ...]:
    """The columns that identify a row: the table's key, or the delivery and line of a record."""
    names = table.write.key if isinstance(table.write, Merge | Upsert) else ("_delivery", "_source_line")
    by_name = {column.name: column for column in table.columns}
    return tuple(by_name[name] for name in names)


def parse_key(table: Table, key: object) -> Key:
    """A key as typed values, from text, a value or a tuple of values. Raises UsageError."""
    columns = key_columns(table)
    parts = key.split(":", len(columns) - 1) if isinstance(key, str) else key
    values = tuple(parts) if isinstance(parts, list | tuple) else (parts,)
    if len(values) != len(columns):
        names = ":".join(c.name for c in columns)
        raise UsageError(f"A row of {table.name} is named by {names}, got {key!r}.")
    return tuple(_value(table, c, v) for c, v in zip(columns, values, strict=True))


def key_text(key: Key) -> str:
    """A key as the text that `parse_key` reads."""
    return ":".join(_text(value) for value in key)


def key_literal(column: Column, value: object) -> str:
    """A key's value as a SQL literal of the column's type."""
    return f"cast({text_literal(_text(value))} as {column.duckdb_type})"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
    return str(value)


def _value(table: Table, column: Column, value: object) -> object:
    try:
        if column.type in BITS:
            return _whole(value, BITS[column.type])
        if column.type == "timestamp":
            return _instant(value)
        return date.fromisoformat(str(value)) if column.type == "date" else str(value)
    except ValueError as wrong:
        raise UsageError(f"{table.name} is keyed by {column.name}, {wrong}, got {value!r}.") from None


def _whole(value: object, bits: int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << bits:
        raise ValueError(f"a whole number from 0 to {(1 << bits) - 1}")
    return int(text)


def _instant(value: object) -> datetime:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("a time such as 2018-11-21T21:56:47.796Z, UTC without an offset") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
