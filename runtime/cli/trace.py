"""`trace`: where a row comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runtime.cli import complete_values
from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit_json, emit_lines, emit_rows
from runtime.cli.parameters import batch_option
from runtime.text.values import as_json

if TYPE_CHECKING:
    from runtime.read.trace import Record, Trace

RECORD = ("table", "outcome", "file", "line", "delivery", "batch_id", "reasons", "raw")


@command
@click.argument("table", shell_complete=complete_values.bare_tables)
@click.argument("key")
@batch_option()
def trace(invocation: Invocation, table: str, key: str, batch: int | None) -> None:
    """A row back to its raw record, file and line. A bare TABLE means gold.

    With it come the other records of its key: duplicates, those a later delivery corrected, and those in
    quarantine; for a user, every event that changed the row; for a play without a song, the nearest songs.
    csv lists the records only.
    """
    traced = invocation.open().trace(table, key, batch=batch)
    if invocation.format == "json":
        emit_json(as_json(traced.as_dict()))
    elif invocation.format == "csv":
        emit_rows(RECORD, _records(traced), "csv")
    else:
        emit_lines(traced.lines())


def _records(traced: Trace) -> Iterator[tuple[object, ...]]:
    for record in dict.fromkeys(traced.records):
        yield tuple(_cell(record, name) for name in RECORD)


def _cell(record: Record, name: str) -> object:
    return " ".join(record.reasons) if name == "reasons" else getattr(record, name)
