"""`export`: the star schema into PostgreSQL."""

from __future__ import annotations

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit_json, emit_rows
from runtime.cli.parameters import batch_option
from runtime.export.target import check_address, check_schema

COUNTS = ("inserted", "updated", "deleted", "rows")
HOW = {"full": "all rows", "changes": "what changed since batch {}", "nothing": "nothing to do"}


@command
@click.option("--to", required=True, metavar="URI", help="postgresql://user@host/database, no password.")
@click.option("--schema", default="sparkify", metavar="S", help="Schema there.  [default: sparkify]")
@batch_option("The tables as batch N published them.")
def export(invocation: Invocation, to: str, schema: str, batch: int | None) -> None:
    """The star schema into PostgreSQL: whole the first time, then what changed.

    One transaction, which also records the batch. The password comes from PGPASSWORD, ~/.pgpass or a
    service file.
    """
    check_address(to)
    check_schema(schema)
    done = invocation.open().export(to, schema=schema, batch=batch, note=invocation.detail)
    if done.why:
        invocation.say(f"{done.why}: all rows were written anew")
    if invocation.format == "json":
        emit_json(done.as_json())
        return
    if done.how != "nothing" or invocation.format == "csv":
        rows = [(name, *(counts[c] for c in COUNTS)) for name, counts in done.tables.items()]
        emit_rows(("table", *COUNTS), rows, invocation.format)
    how = HOW[done.how].format(done.from_batch)
    invocation.say(f"schema {done.schema} holds batch {done.batch_id}: {how} ({done.seconds:.1f} s)")
