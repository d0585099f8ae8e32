"""Finding a published state by its batch, and saying so when it cannot be read."""

from __future__ import annotations

from runtime.errors import UsageError
from runtime.ledger import Contents, State


def state_of(known: Contents, batch: int) -> State:
    """The state of a batch. Raises UsageError when there is none, or it was vacuumed."""
    if batch in known.batches:
        return readable(known, known.batches[batch])
    ids = sorted(known.batches) or [0]
    raise UsageError(
        f"There is no batch {batch}: the lake has batches {ids[0]} to {ids[-1]}. "
        "`python lakehouse.py history` lists them."
    )


def readable(known: Contents, state: State) -> State:
    """The state, if its files are there. Raises UsageError when it was vacuumed."""
    at = known.vacuumed.get(state.batch_id)
    if at is None:
        return state
    left = _ranges([s.batch_id for s in known.readable])
    raise UsageError(
        f"Batch {state.batch_id} was vacuumed at {at:%Y-%m-%d %H:%M:%S} UTC: files it needs are removed for "
        f"good. Readable are the batches {left}. A batch stays readable when it is pinned first: "
        "python lakehouse.py pin BATCH --label TEXT"
    )


def _ranges(ids: list[int]) -> str:
    """`1, 4 to 7`."""
    runs: list[list[int]] = []
    for one in ids:
        if runs and runs[-1][-1] == one - 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)
