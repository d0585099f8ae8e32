"""`query`: one reading statement over the whole lake as of one batch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit_lines, emit_rows
from runtime.cli.parameters import batch_option
from runtime.errors import UsageError
from runtime.text.amounts import count
from runtime.text.values import visible

if TYPE_CHECKING:
    import pyarrow

    from runtime.read.snapshot import Snapshot

EXPLAINED = (["explain_key", "explain_value"], ["plan"])
AT_ONCE = 10_000


@command
@click.argument("sql", required=False)
@batch_option()
@click.option("--as-of", metavar="TIME", help="The lake as last published at TIME, UTC.")
def query(invocation: Invocation, sql: str | None, batch: int | None, as_of: str | None) -> None:
    """One reading statement, SQL, over the whole lake as of one batch.

    Tables are named gold.users, silver.events, … SQL is DuckDB's; with --engine on this command line
    it is Spark's, and runs there. `-` reads the statement from stdin. Without SQL on a terminal: a prompt.
    """
    if sql is None and sys.stdin.isatty():
        from runtime.cli.prompt.terminal import converse

        converse(invocation, batch=batch, as_of=as_of)
        return
    statement = _statement(sql)
    answer(invocation, invocation.open().at(batch=batch, as_of=as_of), statement)


def answer(invocation: Invocation, snapshot: Snapshot, statement: str) -> None:
    """Run one reading statement and print its rows. Raises UsageError."""
    begun = time.monotonic()
    rows = _ask(invocation, snapshot, statement)
    if invocation.format == "table" and rows.column_names in EXPLAINED:
        # A query plan is a drawing of many lines.
        emit_lines(visible(str(text), keep="\n") for text in rows.column(-1).to_pylist())
        return
    emit_rows(rows.column_names, _rows(rows), invocation.format)
    if invocation.format == "table":
        took = f" as of batch {snapshot.batch_id}, {time.monotonic() - begun:.2f} s"
        invocation.say(f"({count(rows.num_rows, 'row')}{took if invocation.verbose else ''})")


def _statement(sql: str | None) -> str:
    statement = sys.stdin.read() if sql in (None, "-") else sql
    if not statement or not statement.strip():
        raise UsageError("query: the statement is empty.")
    return statement


def _ask(invocation: Invocation, snapshot: Snapshot, statement: str) -> pyarrow.Table:
    if invocation.engine is None:
        return snapshot.sql(statement)
    from runtime.read.engine_query import run_on_engine

    return run_on_engine(snapshot, snapshot.engine(), statement)


def _rows(table: pyarrow.Table) -> Iterator[tuple[Any, ...]]:
    """The rows, a batch at a time: as Python values they take many times the memory."""
    import pyarrow as pa

    for name, kind in zip(range(table.num_columns), table.schema.types, strict=True):
        if pa.types.is_timestamp(kind) and kind.unit == "ns":  # finer than Python's datetime
            cut = table.column(name).cast(pa.timestamp("us", kind.tz), safe=False)
            table = table.set_column(name, table.field(name).with_type(cut.type), cut)
    for batch in table.to_batches(max_chunksize=AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
