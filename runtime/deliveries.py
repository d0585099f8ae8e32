"""The order in which contents were delivered, as far as it decides what a batch has to read."""

from __future__ import annotations

from collections.abc import Collection

from runtime.ledger import Contents, State


def late_sources(known: Contents, arrived: Collection[int]) -> frozenset[str]:
    """Sources of which one of these deliveries is older than one taken in before."""
    newest: dict[str, int] = {}
    for d in (*known.ingested, *known.partial):
        source = known.deliveries[d].source
        newest[source] = max(d, newest.get(source, 0))
    sources = {d: known.deliveries[d].source for d in arrived}
    return frozenset(source for d, source in sources.items() if d < newest.get(source, 0))


def redelivered(
    known: Contents, arrived: Collection[int] = (), only: Collection[int] | None = None
) -> dict[str, list[list[int]]]:
    """Per source, the deliveries of every file that is in the lake, or arrives, in several contents.

    `only`: files that have one of these deliveries.
    """
    by_path: dict[tuple[str, str], list[int]] = {}
    for d in sorted({*known.ingested, *known.partial, *arrived}):
        delivery = known.deliveries[d]
        by_path.setdefault((delivery.source, delivery.path), []).append(d)
    found: dict[str, list[list[int]]] = {}
    for (source, _), group in by_path.items():
        if len(group) > 1 and (only is None or set(only) & set(group)):
            found.setdefault(source, []).append(group)
    return found


def chunks(known: Contents, batch_bytes: int) -> list[list[State]]:
    """The batches that took files in, several small ones together."""
    found: list[list[State]] = []
    room = 0
    for state in known.chain:
        if taken := taken_in(state):
            size = min(batch_bytes, bytes_of(known, taken))
            if not found or size > room:
                found.append([])
                room = batch_bytes
            found[-1].append(state)
            room -= size
    return found


def taken_in(state: State) -> set[int]:
    """The deliveries of which a batch took in the whole or a part."""
    return {*state.deliveries, *map(int, state.partial)}


def bytes_of(known: Contents, deliveries: Collection[int]) -> int:
    """The size of these deliveries."""
    return sum(known.deliveries[d].size for d in deliveries)
