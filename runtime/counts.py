"""What the batches counted, put together over the states that the last one stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runtime.ledger import Contents, State

REBUILT = "full refresh"
SHOWN = 5  # lost records named


def records(known: Contents) -> dict[str, int]:
    """`delivered`, `accepted`, `duplicate`, `superseded` and `quarantined` of all records in the lake."""
    return added([state.records for state in _judging(known)])


def changed(known: Contents, state: State) -> Mapping[str, int]:
    """What a state adds to the counts of the states before it.

    A rebuild counts every record again, so only the difference to what was counted before is added.
    """
    if state.kind != REBUILT or state.base is None:
        return state.records
    before = records(known.as_of(state.base))
    return {name: n - before.get(name, 0) for name, n in state.records.items()}


def reasons(known: Contents) -> dict[str, int]:
    """Records in quarantine by reason, the most frequent first."""
    counted = added([state.reasons for state in _judging(known)])  # a retry takes away what it accepts
    there = {reason: n for reason, n in counted.items() if n}
    return dict(sorted(there.items(), key=lambda item: (-item[1], item[0])))


def left_out(known: Contents) -> Mapping[str, Sequence[Any]]:
    """By source, the number and an example of the files that the last run of a batch left out."""
    return next((state.left_out for state in reversed(known.chain) if state.kind == "run"), {})


def lost(known: Contents) -> list[str]:
    """What to know of records that lost to another owner's, a sentence a table."""
    found: dict[str, tuple[int, list[str]]] = {}
    for state in _judging(known):
        for name, (records, texts) in state.lost.items():
            before = found.get(name, (0, []))
            found[name] = before[0] + records, [*before[1], *texts]
    return [lost_text(name, records, texts) for name, (records, texts) in found.items()]


def lost_text(table: str, records: int, texts: Sequence[str]) -> str:
    """The records of a table that lost to another owner's, some of them by name."""
    many = f"{records:,} records" if records > 1 else "1 record"
    more = f"; and {records - len(texts[:SHOWN]):,} more" if records > SHOWN else ""
    named = "; ".join(texts[:SHOWN])
    return f"{table}: {many} lost to a record of the same key and another owner: {named}{more}"


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, put together."""
    names = dict.fromkeys(name for c in counts for name in c)
    return {name: sum(c.get(name, 0) for c in counts) for name in names}


def _judging(known: Contents) -> Iterator[State]:
    """The states whose counts hold: a rebuild judges all records anew."""
    rebuilt = [number for number, state in enumerate(known.chain) if state.kind == REBUILT]
    yield from known.chain[max(rebuilt, default=0) :]
