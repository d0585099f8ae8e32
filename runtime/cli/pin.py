"""`pin` and `unpin`: batches that every vacuum spares."""

from __future__ import annotations

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json
from runtime.cli.parameters import batch_argument


@command
@batch_argument("batch")
@click.option("--label", required=True, metavar="TEXT", help="Why it is kept, such as 'Q3 report'.")
def pin(asked: Invocation, batch: int, label: str) -> None:
    """Keep a batch readable through every vacuum."""
    asked.open().pin(batch, label)
    _tell(asked, batch, label)


@command
@batch_argument("batch")
def unpin(asked: Invocation, batch: int) -> None:
    """Let vacuum have a pinned batch again; unpinning alone removes nothing."""
    asked.open().unpin(batch)
    _tell(asked, batch, None)


def _tell(asked: Invocation, batch: int, label: str | None) -> None:
    if asked.format == "json":
        emit_json({"batch_id": batch, "pinned": label})
    else:
        emit(f"Batch {batch} is {'not pinned any more' if label is None else f'pinned: {label}'}.\n")
