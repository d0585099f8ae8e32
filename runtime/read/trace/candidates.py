"""The rows nearest to values that match no row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runtime.read.keys import key_columns, key_literal
from runtime.read.snapshot import Snapshot
from runtime.read.sql import quoted
from runtime.read.trace.rows import Row, ask, found, in_sql
from runtime.read.trace.tree import Found
from runtime.table import Table
from runtime.text.values import as_text

SHOWN = 3
ALIKE = 0.9  # Jaro-Winkler similarity, 1 if equal: allows another spelling, not another title


def nearest_rows(snapshot: Snapshot, table: Table, wanted: Row) -> Iterator[Found]:
    """The rows most similar to these values; at least one text must be nearly equal, not only a number."""
    likeness = {name: _likeness(table, name, value) for name, value in wanted.items() if value is not None}
    texts = [likeness[name] for name, value in wanted.items() if isinstance(value, str)]
    if not texts:
        return
    key = ", ".join(quoted(column.name) for column in key_columns(table))
    score = " + ".join(f"coalesce({one}, 0)" for one in likeness.values())
    rows = ask(
        snapshot,
        f"from {in_sql(table)} where greatest({', '.join(texts)}) >= {ALIKE} "
        f"order by {score} desc, {key} limit {SHOWN}",
    )
    for row in rows:
        yield found("candidate", table, row, _compared(row, wanted))


def _likeness(table: Table, name: str, value: object) -> str:
    """SQL: the similarity of a column to a value, from 0 to 1 (equal)."""
    column = next(c for c in table.columns if c.name == name)
    ours, theirs = key_literal(column, value), quoted(name)
    if column.type == "string":
        return f"if({theirs} = {ours}, 1, 0.99 * jaro_winkler_similarity(lower({theirs}), lower({ours})))"
    return f"if({theirs} = {ours}, 1, 0.99 / (1 + abs({theirs} - {ours})))"


def _compared(row: Row, wanted: Mapping[str, object]) -> str:
    """Text such as `title and artist_name agree; duration 200.5, not 199.8`."""
    same = [name for name, value in wanted.items() if row[name] == value]
    other = [
        f"{name} {as_text(row[name])}, not {as_text(value)}"
        for name, value in wanted.items()
        if row[name] != value
    ]
    agree = f"{' and '.join(same)} {'agree' if len(same) > 1 else 'agrees'}" if same else ""
    return "; ".join(filter(None, [agree, *other]))
