"""`report`: one HTML page about the lake."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json
from runtime.cli.output_file import replace_file, written_to
from runtime.cli.parameters import batch_option
from runtime.text.amounts import size_text

STDOUT = Path("-")
ADVICE = "Name a file with --out in a folder that you may write in, or - for stdout."


@command
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Where the page goes, - for stdout; an older one is replaced.",
)
@batch_option()
def report(invocation: Invocation, out: Path, batch: int | None) -> None:
    """A self-contained HTML page: flow, batches, quality, changes, listening, tables.

    It needs no network and no server: open it in a browser or send it. Needs the extra `report`.
    """
    lake = invocation.open()
    if out == STDOUT:
        emit(lake.report(batch))
        return
    with written_to("report", out, ADVICE):
        _try(out)
    replace_file(out, lake.report(batch))
    if invocation.format == "json":
        emit_json({"out": str(out), "bytes": out.stat().st_size})
    else:
        emit(f"{out}: {size_text(out.stat().st_size)}\n")


def _try(out: Path) -> None:
    """Raises OSError where the page cannot be written, before it is computed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    page = Path(os.path.realpath(out))  # a link to a file that does not exist yet stays a link
    if not page.exists():
        page.touch()
        page.unlink()
    elif page.is_file():
        with page.open("ab"):
            pass
