"""`quarantine`: rejected records, their reasons, and retrying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from runtime.cli import complete_values
from runtime.cli.commands import Family, command
from runtime.cli.context import Invocation
from runtime.cli.display import display
from runtime.cli.output import emit, emit_json, emit_lines, emit_rows
from runtime.cli.parameters import batch_option
from runtime.text.amounts import count
from runtime.text.values import visible

REASON = ("reason", "records", "sources", "batches", "first", "last")
RECORD = ("source", "file", "line", "batch_id", "reasons", "raw")
EMPTY = "The quarantine is empty."
LONGEST = 2_000  # characters of a record in table format


@command
def list_(invocation: Invocation) -> None:
    """By reason: records, sources, batches, and when those were published.

    A record that broke several rules counts under each of them.
    """
    rows = invocation.open().quarantine.reasons()
    if invocation.format == "table" and not rows:
        emit(EMPTY + "\n")
    elif invocation.format == "table":
        emit_rows(REASON, [_reason(row) for row in rows], "table")
        invocation.say(f"next: {invocation.next_command('quarantine show ' + rows[0]['reason'])}")
    else:
        emit_rows(REASON, [[row[c] for c in REASON] for row in rows], invocation.format)


@command
@click.argument("reason", nargs=-1, shell_complete=complete_values.reasons)
@batch_option("Only what batch N rejected.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Records shown; 20 by default.")
def show(invocation: Invocation, reason: tuple[str, ...], batch: int | None, limit: int | None) -> None:
    """Rejected records: file, line, all their reasons, and the record as delivered.

    Only those with one of the REASONs, if any are given.
    """
    from runtime.upkeep.quarantine import SHOWN

    most = limit or SHOWN
    rows = invocation.open().quarantine.records(*reason, batch=batch, limit=most + 1)
    if invocation.format == "table":
        emit_lines(line for row in rows[:most] for line in _record(row))
    else:
        emit_rows(RECORD, [[row[c] for c in RECORD] for row in rows[:most]], invocation.format)
    if not rows:
        invocation.say("No such record is in quarantine.")
    elif len(rows) > most:
        invocation.say(f"(the first {count(most, 'record')}; --limit shows more)")


@command
def retry(invocation: Invocation) -> None:
    """Judge the quarantined records again, after a rule changed; those that pass are taken in.

    They keep their delivery and their line, so the tables become what they would be had the rule been
    so from the start. Other records are not judged again: `run --full-refresh` does that.
    """
    lake = invocation.open()
    with display(invocation, lake.tables) as progress:
        done = lake.quarantine.retry(progress=progress)
    result = done.as_json()
    if invocation.format == "json":
        emit_json(result)
    elif invocation.format == "csv":
        emit_rows(
            ("batch_id", *result["records"]), [(result["batch_id"], *result["records"].values())], "csv"
        )
    else:
        emit(_outcome(result["records"], published=done.state is not None) + "\n")


def _outcome(records: dict[str, int], *, published: bool) -> str:
    left = count(records["quarantined"], "record")
    if not published:
        return f"Nothing to do: {left} in quarantine, judged as before." if records["quarantined"] else EMPTY
    relabelled = records["relabelled"]
    others = f", {relabelled:,} of them for other reasons than before" if relabelled else ""
    return f"Still in quarantine: {left}{others}."


def _reason(row: dict[str, Any]) -> list[Any]:
    texts = {
        **row,
        "sources": ", ".join(row["sources"]),
        "batches": ranges(row["batches"]),
        **{c: row[c] and f"{row[c]:%Y-%m-%d %H:%M}" for c in ("first", "last")},
    }
    return [texts[c] for c in REASON]


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers with runs joined: `1-3, 7`."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _record(row: dict[str, Any]) -> Iterator[str]:
    yield visible(f"{row['file']}:{row['line']}  batch {row['batch_id']}  {', '.join(row['reasons'])}")
    rest = len(row["raw"]) - LONGEST
    cut = f" … and {rest:,} characters; --format json shows them all" if rest > 0 else ""
    yield f"  {visible(row['raw'][:LONGEST])}{cut}"


quarantine = Family(
    "quarantine",
    {"list": list_, "show": show, "retry": retry},
    help="What was rejected and why; try it again after a rule changed.",
)
