"""`optimize`: merge small files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli import complete_values
from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.display import display
from runtime.cli.output import emit_json, emit_rows
from runtime.errors import UsageError
from runtime.text.amounts import size_text

if TYPE_CHECKING:
    from runtime.upkeep.optimize import Compaction

COLUMNS = ("table", "files_before", "files_after", "bytes_before", "bytes_after")
SHOWN = ("table", "files", "now", "bytes", "now")


@command
@click.argument(
    "names", nargs=-1, metavar="[LAYER|TABLE]...", shell_complete=complete_values.layers_and_tables
)
@click.option("--target-file-size", metavar="SIZE", help="Merge files up to SIZE, such as 128MiB.")
def optimize(invocation: Invocation, names: tuple[str, ...], target_file_size: str | None) -> None:
    """Merge the small files of tables into larger ones.

    One new state with the same rows; older batches stay readable. Without names, all tables.
    """
    target = _bytes(target_file_size)
    lake = invocation.open()
    with display(invocation, lake.tables) as progress:
        done = lake.optimize(*names, target_bytes=target, progress=progress)
    _show(invocation, done)
    if done.state is None:
        invocation.say("No table has files to merge: nothing to do.")
    else:
        invocation.say(f"batch {done.state.batch_id} (optimize): {done.state.seconds:.1f} s")


def _bytes(size: str | None) -> int | None:
    from runtime.settings.model import in_bytes

    try:
        target = None if size is None else in_bytes(size)
    except ValueError as error:
        raise UsageError(f"--target-file-size: {error}, got {size!r}.") from None
    if target is not None and (not isinstance(target, int) or target < 1):
        raise UsageError("--target-file-size: expected a size of at least one byte.")
    return target


def _show(invocation: Invocation, done: Compaction) -> None:
    rows = [(n, b["files"], a["files"], b["bytes"], a["bytes"]) for n, (b, a) in done.tables.items()]
    if invocation.format == "json":
        emit_json(_as_json(done, rows))
    elif invocation.format == "csv":
        emit_rows(COLUMNS, rows, "csv")
    else:
        texts = [(n, f"{f:,}", f"{g:,}", size_text(b), size_text(c)) for n, f, g, b, c in rows]
        emit_rows(SHOWN, texts, "table", right=SHOWN[1:])


def _as_json(done: Compaction, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        "batch_id": None if done.state is None else done.state.batch_id,
        "tables": {row[0]: dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in rows},
    }
