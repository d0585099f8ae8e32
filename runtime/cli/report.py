"""`report`: one HTML page about the lake."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.cli.invocation import Invocation, command
from runtime.cli.output import emit, emit_json
from runtime.cli.parameters import batch_option
from runtime.cli.texts import size_text


@command
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the page goes; an older one is replaced.",
)
@batch_option()
def report(asked: Invocation, out: Path, batch: int | None) -> None:
    """A self-contained HTML page: flow, batches, quality, changes, listening, tables.

    It needs no network and no server: open it in a browser or send it. Needs the extra `report`.
    """
    page = asked.open().report(batch)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    if asked.format == "json":
        emit_json({"out": str(out), "bytes": out.stat().st_size})
    else:
        emit(f"{out}: {size_text(out.stat().st_size)}\n")
