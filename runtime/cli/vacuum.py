"""`vacuum`: remove files that no retained batch reads."""

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
    clearance = lake.vacuum(history_days=history_days, dry_run=True)
    if not dry_run and not clearance.is_empty:
        if invocation.format == "table":
            _describe(clearance)
        if not confirmed(f"{_sentence(clearance)} Remove them for good?", yes=yes):
            return DECLINED
        with display(invocation, lake.tables) as progress:
            clearance = lake.vacuum(history_days=history_days, since=clearance.since, progress=progress)
    _show(invocation, clearance)
    return 0


def _show(invocation: Invocation, clearance: Clearance) -> None:
    if invocation.format == "json":
        emit_json(_as_json(clearance))
    elif invocation.format == "csv":
        emit_rows(("table", "files", "bytes"), _sizes(clearance), "csv")
    elif not clearance.done and not clearance.is_empty:
        _describe(clearance)
    if clearance.is_empty:
        invocation.say("Nothing to remove.")
    elif clearance.done:
        invocation.say(f"Removed {_amount(clearance)}.")


def _describe(clearance: Clearance) -> None:
    """Print the batches that become unreadable, then the files by table."""
    listed = ", ".join(map(str, clearance.batches)) or "none"
    emit(f"Batches that would become unreadable: {listed}.\n\n")
    rows = [(name, f"{files:,}", size_text(bytes_)) for name, files, bytes_ in _sizes(clearance) if files]
    emit_rows(("table", "files", "bytes"), rows, "table", right=("files", "bytes"))


def _sentence(clearance: Clearance) -> str:
    lost = len(clearance.batches)
    return f"{lost:,} batch{'' if lost == 1 else 'es'} would become unreadable, {_amount(clearance)} removed."


def _amount(clearance: Clearance) -> str:
    sizes = _sizes(clearance)
    return f"{count(sum(files for _, files, _ in sizes), 'file')}, {size_text(sum(b for *_, b in sizes))}"


def _sizes(clearance: Clearance) -> list[tuple[str, int, int]]:
    return [(name, len(files), sum(files.values())) for name, files in clearance.files.items()]


def _as_json(clearance: Clearance) -> dict[str, Any]:
    tables = {name: {"files": files, "bytes": bytes_} for name, files, bytes_ in _sizes(clearance)}
    return {"done": clearance.done, "unreadable": list(clearance.batches), "tables": tables}
