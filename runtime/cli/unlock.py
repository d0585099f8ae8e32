"""`unlock`: release the lease of a dead run."""

from __future__ import annotations

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json


@command
@click.option("--force", is_flag=True, help="Take the lease from a live run, too.")
def unlock(invocation: Invocation, force: bool) -> None:
    """Release the lease of a run that is gone."""
    done = invocation.open().unlock(force=force)
    if invocation.format == "json":
        emit_json({"message": done})
    else:
        emit(done + "\n")
