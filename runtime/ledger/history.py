"""Queries over all published states: lookup by batch or time, counts, delivery order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from runtime.errors import UsageError
from runtime.ledger.facts import Facts, State


def state_of(known: Facts, batch: int) -> State:
    """The state of a batch. Raises UsageError if there is none or it was vacuumed."""
    if isinstance(batch, bool) or not hasattr(batch, "__index__"):
        raise UsageError(f"A batch is given by its number, as in 3, got {batch!r}.")
    if batch in known.batches:
        return readable(known, known.batches[batch])
    ids = sorted(known.batches) or [0]
    raise UsageError(
        f"There is no batch {batch}: the lake has batches {ids[0]} to {ids[-1]}. "
        "`python lakehouse.py history` lists them."
    )


def state_at(known: Facts, as_of: object) -> State:
    """The last state published at or before a time. Raises UsageError for none, or for an invalid time."""
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
    """A text or a value of Python, numpy or pandas as an instant; UTC if it has no offset.

    Raises UsageError for other values.
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
    """The last instant of a time: a time to the second, as `history` prints it, includes that second."""
    written = re.search(r"[.,](\d{1,6})", as_of) if isinstance(as_of, str) else None
    if written is not None:
        digits = len(written[1])
    else:
        digits = 0 if at.microsecond == 0 else 3 if at.microsecond % 1_000 == 0 else 6
    return at + timedelta(microseconds=10 ** (6 - digits) - 1)


def _text(at: datetime) -> str:
    """The time in full precision, so that different times differ in print."""
    return at.replace(tzinfo=None).isoformat(" ")


def readable(known: Facts, state: State) -> State:
    """The state itself. Raises UsageError if it was vacuumed."""
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


def late_sources(known: Facts, arrived: Collection[int]) -> frozenset[str]:
    """Sources with a delivery among `arrived` that is older than one in the lake."""
    newest: dict[str, int] = {}
    for d in (*known.ingested, *known.partial):
        source = known.deliveries[d].source
        newest[source] = max(d, newest.get(source, 0))
    sources = {d: known.deliveries[d].source for d in arrived}
    return frozenset(source for d, source in sources.items() if d < newest.get(source, 0))


def redelivered(
    known: Facts, arrived: Collection[int] = (), only: Collection[int] | None = None
) -> dict[str, list[list[int]]]:
    """By source, the deliveries of each file with several of them, in the lake or in `arrived`.

    `only`: restrict to files with one of these deliveries.
    """
    by_path: dict[tuple[str, str], list[int]] = {}
    for d in sorted({*known.ingested, *known.partial, *arrived}):
        delivery = known.deliveries[d]
        by_path.setdefault((delivery.source, delivery.path), []).append(d)
    groups: dict[str, list[list[int]]] = {}
    for (source, _), group in by_path.items():
        if len(group) > 1 and (only is None or set(only) & set(group)):
            groups.setdefault(source, []).append(group)
    return groups


def chunks(known: Facts, batch_bytes: int) -> list[list[State]]:
    """The batches that took in files, in groups of at most `batch_bytes` or of one batch."""
    groups: list[list[State]] = []
    room = 0
    for state in known.chain:
        if taken := taken_in(state):
            size = min(batch_bytes, bytes_of(known, taken))
            if not groups or size > room:
                groups.append([])
                room = batch_bytes
            groups[-1].append(state)
            room -= size
    return groups


def taken_in(state: State) -> set[int]:
    """The deliveries that a batch took in, in whole or in part."""
    return {*state.deliveries, *map(int, state.partial)}


def bytes_of(known: Facts, deliveries: Collection[int]) -> int:
    """The size of these deliveries in bytes."""
    return sum(known.deliveries[d].size for d in deliveries)


REBUILT = "full refresh"
SHOWN = 5  # lost records that a message names


def records(known: Facts) -> dict[str, int]:
    """Counts of all records: `delivered`, `accepted`, `duplicate`, `superseded`, `quarantined`."""
    return added([state.records for state in _judging(known)])


def changed(known: Facts, state: State) -> Mapping[str, int]:
    """The counts that a state adds to those of the states before it.

    A rebuild counts every record again, so it adds only the difference to the earlier counts.
    """
    if state.kind != REBUILT or state.base is None:
        return state.records
    before = records(known.as_of(state.base))
    return {name: n - before.get(name, 0) for name, n in state.records.items()}


def reasons(known: Facts) -> dict[str, int]:
    """Records in quarantine by reason, the most frequent first."""
    counted = added([state.reasons for state in _judging(known)])  # a retry subtracts the records it accepts
    positive = {reason: n for reason, n in counted.items() if n}
    return dict(sorted(positive.items(), key=lambda item: (-item[1], item[0])))


def left_out(known: Facts) -> Mapping[str, Sequence[Any]]:
    """By source, [number, example] of the files that the last published run left out."""
    return next((state.left_out for state in reversed(known.chain) if state.kind == "run"), {})


def lost(known: Facts) -> list[str]:
    """One sentence for each table with records that lost to a record of another owner."""
    losses: dict[str, tuple[int, list[str]]] = {}
    for state in _judging(known):
        for name, (records, texts) in state.lost.items():
            before = losses.get(name, (0, []))
            losses[name] = before[0] + records, [*before[1], *texts]
    return [lost_text(name, records, texts) for name, (records, texts) in losses.items()]


def lost_text(table: str, records: int, texts: Sequence[str]) -> str:
    """The sentence about lost records of a table; it names up to SHOWN of them."""
    many = f"{records:,} records" if records > 1 else "1 record"
    more = f"; and {records - len(texts[:SHOWN]):,} more" if records > SHOWN else ""
    named = "; ".join(texts[:SHOWN])
    return f"{table}: {many} lost to a record of the same key and another owner: {named}{more}"


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The sum of the counts by name."""
    names = dict.fromkeys(name for c in counts for name in c)
    return {name: sum(c.get(name, 0) for c in counts) for name in names}


def _judging(known: Facts) -> Iterator[State]:
    """The states with valid counts: the last rebuild, which counts all records again, and later ones."""
    rebuilt = [number for number, state in enumerate(known.chain) if state.kind == REBUILT]
    yield from known.chain[max(rebuilt, default=0) :]
