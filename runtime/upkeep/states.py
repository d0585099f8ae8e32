"""Finding a published state by its batch, and saying so when there is none."""

from __future__ import annotations

from runtime.errors import UsageError
from runtime.ledger import Contents, State


def state_of(known: Contents, batch: int) -> State:
    """The state of a batch. Raises UsageError when there is none."""
    if batch in known.batches:
        return known.batches[batch]
    ids = sorted(known.batches) or [0]
    raise UsageError(
        f"There is no batch {batch}: the lake has batches {ids[0]} to {ids[-1]}. "
        "`python lakehouse.py history` lists them."
    )
