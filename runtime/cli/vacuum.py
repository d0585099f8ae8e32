"""`vacuum`: remove files that no batch we keep reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commands import command
from runtime.cli.confirm import DECLINED, confirmed
from runtime.cli.context import Invocation
from runtime.cli.display import display
from runtime.cli.output import emit, emit_json, emit_rows
from runtime.text.amounts import count, size_text

if TYPE_CHECKING:
    from runtime.upkeep.vacuum import Clearance


@command
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option(
    "--history-days",
    type=click.IntRange(min=0),
    metavar="N",
    help="Keep what was current in the last N days; the setting history_days by default.",
)
def vacuum(invocation: Invocation, yes: bool, dry_run: bool, history_days: int | None) -> int:
    """Remove files that no batch we keep reads.

    First prints the batches that would become unreadable. The last batch and pinned ones always stay;
    without history_days all do, and only what killed runs left behind is removed.
    """
    lake = invocation.open()
    found = lake.vacuum(history_days=history_days, dry_run=True)
    if not dry_run and not found.is_empty:
        if invocation.format == "table":
            _describe(found)
        if not confirmed(f"{_sentence(found)} Remove them for good?", yes=yes):
            return DECLINED
        with display(invocation, lake.tables) as progress:
            found = lake.vacuum(history_days=history_days, since=found.since, progress=progress)
    _show(invocation, found)
    return 0


def _show(invocation: Invocation, found: Clearance) -> None:
    if invocation.format == "json":
        emit_json(_as_json(found))
    elif invocation.format == "csv":
        emit_rows(("table", "files", "bytes"), _sizes(found), "csv")
    elif not found.done and not found.is_empty:
        _describe(found)
    if found.is_empty:
        invocation.say("Nothing to remove.")
    elif found.done:
        invocation.say(f"Removed {_amount(found)}.")


def _describe(found: Clearance) -> None:
    """The batches, then the files by table."""
    listed = ", ".join(map(str, found.batches)) or "none"
    emit(f"Batches that would become unreadable: {listed}.\n\n")
    rows = [(name, f"{files:,}", size_text(bytes_)) for name, files, bytes_ in _sizes(found) if files]
    emit_rows(("table", "files", "bytes"), rows, "table", right=("files", "bytes"))


def _sentence(found: Clearance) -> str:
    lost = len(found.batches)
    return f"{lost:,} batch{'' if lost == 1 else 'es'} would become unreadable, {_amount(found)} removed."


def _amount(found: Clearance) -> str:
    sizes = _sizes(found)
    return f"{count(sum(files for _, files, _ in sizes), 'file')}, {size_text(sum(b for *_, b in sizes))}"


def _sizes(found: Clearance) -> list[tuple[str, int, int]]:
    return [(name, len(files), sum(files.values())) for name, files in found.files.items()]


def _as_json(found: Clearance) -> dict[str, Any]:
    tables = {name: {"files": files, "bytes": bytes_} for name, files, bytes_ in _sizes(found)}
    return {"done": found.done, "unreadable": list(found.batches), "tables": tables}
