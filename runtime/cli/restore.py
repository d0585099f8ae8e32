"""`restore`: all tables back to their rows at a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commands import command
from runtime.cli.confirm import DECLINED, confirmed
from runtime.cli.context import Invocation
from runtime.cli.display import display
from runtime.cli.output import emit, emit_json, emit_rows
from runtime.cli.parameters import batch_option
from runtime.text.amounts import count

if TYPE_CHECKING:
    from runtime.upkeep.restore import Restoration

ROWS = ("table", "rows now", "rows then")


@command
@batch_option("The batch to go back to.", required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen.")
@click.option("--allow-unavailable", is_flag=True, help="Also if sources are no longer there.")
def restore(invocation: Invocation, batch: int, yes: bool, dry_run: bool, allow_unavailable: bool) -> int:
    """Put all tables back to what they held at a batch.

    Nothing is lost: it is a new state, and older ones stay readable. Files taken in later become new
    again; the next run takes them in. Exits 2 when some are no longer at their source.
    """
    lake = invocation.open()
    result = lake.restore(batch, dry_run=True)
    refused = bool(result.unavailable) and not allow_unavailable
    if not dry_run and not refused and not result.is_empty:
        if invocation.format == "table":
            _describe(result)
        if not confirmed(f"Put the lake back to batch {batch}?", yes=yes):
            return DECLINED
    if not dry_run:
        with display(invocation, lake.tables) as progress:
            result = lake.restore(
                batch, allow_unavailable=allow_unavailable, since=result.since, progress=progress
            )
    _show(invocation, result, dry_run=dry_run)
    return 0


def _show(invocation: Invocation, result: Restoration, *, dry_run: bool) -> None:
    if invocation.format == "json":
        emit_json(_as_json(result))
    elif invocation.format == "csv":
        emit_rows(("table", "rows_before", "rows_after"), [(n, *r) for n, r in result.rows.items()], "csv")
    elif dry_run and not result.is_empty:
        _describe(result)
    if result.is_empty:
        invocation.say(f"The lake is at batch {result.batch_id} already: nothing to do.")
    if result.state is not None:
        invocation.say(f"batch {result.state.batch_id}: the lake is back at batch {result.batch_id}")
        invocation.say(f"next: {invocation.next_command('plan')}")


def _describe(result: Restoration) -> None:
    """The tables whose number of rows changes, then the files that become new."""
    rows = [(n, _number(now), _number(then)) for n, (now, then) in result.rows.items()]
    emit_rows(ROWS, rows, "table", right=ROWS[1:])
    emit("\n")
    again = count(len(result.new_again), "file")
    emit(f"{again} taken in after batch {result.batch_id} would be new again.\n")
    missing = dict(result.unavailable)
    if result.new_again:
        files = [(d.uri, missing.get(d, "is there")) for d in result.new_again]
        emit_rows(("file", "at its source"), files, "table")


def _number(rows: int | None) -> str | None:
    return None if rows is None else f"{rows:,}"


def _as_json(result: Restoration) -> dict[str, Any]:
    return {
        "batch_id": None if result.state is None else result.state.batch_id,
        "restored": result.batch_id,
        "since": result.since,
        "tables": {n: {"rows_before": a, "rows_after": b} for n, (a, b) in result.rows.items()},
        "new_again": [{"path": d.uri, "source": d.source, "delivery": d.delivery} for d in result.new_again],
        "unavailable": [{"path": d.uri, "source": d.source, "why": why} for d, why in result.unavailable],
    }
