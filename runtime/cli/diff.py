"""`diff`: what changed between two batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_lines, emit_rows
from runtime.cli.parameters import batch_argument, table_option
from runtime.read.keys import key_text
from runtime.text.amounts import count
from runtime.text.values import as_json, as_text, to_json

if TYPE_CHECKING:
    from runtime.read.diff import Change, Diff, TableDiff

SIGNS = {"inserted": "+", "updated": "~", "deleted": "-"}
SHOWN = 10  # rows per table in table format without --limit
LINE = ("table", "change", "key", "column", "before", "after")


@command
@batch_argument("before", "A")
@batch_argument("after", "B")
@table_option("tables", "TABLE")
@click.option("--key", metavar="KEY", help="Only the row of this key, as in trace.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N rows of each table.")
@click.option("--exit-code", is_flag=True, help="End with exit code 1 when they differ.")
def diff(
    invocation: Invocation,
    before: int,
    after: int,
    tables: tuple[str, ...],
    key: str | None,
    limit: int | None,
    exit_code: bool,
) -> int:
    """Rows inserted, updated and deleted from batch A to batch B.

    Columns with a leading _ do not count. A bare TABLE means gold. Without --limit, json and csv hold
    every row, a table the first 10 of each. Only files that differ are read.
    """
    differences = invocation.open().diff(before, after, tables=tables or None, key=key)
    if invocation.format == "json":
        emit_lines(_json(differences, limit))
    elif invocation.format == "csv":
        emit_rows(LINE, _cells(differences, limit), "csv")
    else:
        _describe(invocation, differences, SHOWN if limit is None else limit)
    return int(exit_code and not differences.is_empty)


def _describe(invocation: Invocation, differences: Diff, limit: int) -> None:
    summary = [(name, *counts.values()) for name, counts in differences.summary.items()]
    emit_rows(("table", *SIGNS), summary, "table")
    for name, table in differences.tables.items():
        if table.is_empty or not limit:
            continue
        emit(f"\n{name}\n")
        emit_rows(("", "key", "row"), [_row(c) for c in table.rows(limit)], "table")
        if (more := sum(table.counts.values()) - limit) > 0:
            invocation.say(f"{name}: {count(more, 'row')} more; --limit N shows more, json and csv show all.")


def _row(change: Change) -> tuple[str, str, str]:
    sides = change.before, change.after
    texts = (f"{name} {_change_text(name, *sides)}" for name in change.columns)
    return SIGNS[change.change], key_text(tuple(change.key.values())), ", ".join(texts)


def _change_text(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """`free → paid`; one value where only one side has the row."""
    sides = (side for side in (before, after) if side is not None)
    return " → ".join("NULL" if (text := as_text(s[name])) is None else text for s in sides)


def _cells(differences: Diff, limit: int | None) -> Iterator[tuple[Any, ...]]:
    """One row per value that differs."""
    for name, table in differences.tables.items():
        for change in table.rows(limit):
            start = name, change.change, key_text(tuple(change.key.values()))
            for column in change.columns:
                yield *start, column, (change.before or {}).get(column), (change.after or {}).get(column)


def _json(differences: Diff, limit: int | None) -> Iterator[str]:
    """One JSON object with one row per line, written while rows are read."""
    yield f'{{"from": {differences.from_batch}, "to": {differences.to_batch}, "tables": {{'
    last = len(differences.tables) - 1
    for i, (name, table) in enumerate(differences.tables.items()):
        yield from _table_json(name, table, limit, "," if i < last else "")
    yield "}}"


def _table_json(name: str, table: TableDiff, limit: int | None, comma: str) -> Iterator[str]:
    opening = f'{to_json(name)}: {to_json(table.counts)[:-1]}, "rows": ['
    for change in table.rows(limit):
        yield opening + to_json(as_json(change.as_dict()))
        opening = ","
    yield f"{'' if opening == ',' else opening}]}}{comma}"
