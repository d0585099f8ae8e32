"""Finding a published state by its batch or by a time, and saying so when it cannot be read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from runtime.errors import UsageError
from runtime.ledger import Contents, State


def state_of(known: Contents, batch: int) -> State:
    """The state of a batch. Raises UsageError when there is none, or it was vacuumed."""
    if isinstance(batch, bool) or not hasattr(batch, "__index__"):
        raise UsageError(f"A batch is given by its number, as in 3, got {batch!r}.")
    if batch in known.batches:
        return readable(known, known.batches[batch])
    ids = sorted(known.batches) or [0]
    raise UsageError(
        f"There is no batch {batch}: the lake has batches {ids[0]} to {ids[-1]}. "
        "`python lakehouse.py history` lists them."
    )


def state_at(known: Contents, as_of: object) -> State:
    """The state last published at or before a time. Raises UsageError when there is none, or no time."""
    at = instant(as_of)
    until = _end(as_of, at)
    states = sorted(known.batches.values(), key=lambda s: s.batch_id)
    before = [s for s in states if s.published_at <= until]
    if before:
        return readable(known, before[-1])
    raise UsageError(
        f"Nothing was published at or before {_text(at)} UTC: the first state, batch "
        f"{states[0].batch_id}, was published at {_text(states[0].published_at)} UTC."
    )


def instant(as_of: object) -> datetime:
    """The instant that a text or a value of Python, numpy or pandas means, UTC where it has no offset.

    Raises UsageError for anything else.
    """
    try:
        at = _datetime(as_of)
        if at is not None and at == at:  # pandas' NaT is a datetime that differs from itself
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"--as-of: {as_of!r} is no time. Write it as 2026-11-20, '2026-11-20 10:00' or "
        "2026-11-20T10:00:00+02:00; without an offset it is UTC."
    )


def _datetime(value: object) -> datetime | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if hasattr(value, "to_pydatetime"):  # pandas'; Python has no nanoseconds
        return value.to_pydatetime(warn=False) if value == value else None
    if type(value).__name__ == "datetime64":  # numpy's
        return _datetime(value.astype("datetime64[us]").item())  # type: ignore[attr-defined]
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.min)
    return value if isinstance(value, datetime) else None


def _end(as_of: object, at: datetime) -> datetime:
    """The last instant that a time includes: a time to the second, as `history` prints it, all of it."""
    written = re.search(r"[.,](\d{1,6})", as_of) if isinstance(as_of, str) else None
    if written is not None:
        digits = len(written[1])
    else:
        digits = 0 if at.microsecond == 0 else 3 if at.microsecond % 1_000 == 0 else 6
    return at + timedelta(microseconds=10 ** (6 - digits) - 1)


def _text(at: datetime) -> str:
    """As precise as it is: two times that differ look different."""
    return at.replace(tzinfo=None).isoformat(" ")


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
