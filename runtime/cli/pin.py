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
def pin(invocation: Invocation, batch: int, label: str) -> None:
    """Keep a batch readable through every vacuum."""
    invocation.open().pin(batch, label)
    _tell(invocation, batch, label)


@command
@batch_argument("batch")
def unpin(invocation: Invocation, batch: int) -> None:
    """Let vacuum have a pinned batch again; unpinning alone removes nothing."""
    invocation.open().unpin(batch)
    _tell(invocation, batch, None)


def _tell(invocation: Invocation, batch: int, label: str | None) -> None:
    if invocation.format == "json":
        emit_json({"batch_id": batch, "pinned": label})
    else:
        emit(f"Batch {batch} is {'not pinned any more' if label is None else f'pinned: {label}'}.\n")
