"""Restore: all tables back to what they held at a batch, by new commits, published as one state.

Files taken in later become new again under the delivery numbers they have, so the next run brings gold
back to what it was. It can only do so with the contents that were delivered: those no longer at their
source are found before anything is changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.delta.versions import TableVersions
from runtime.engine import started
from runtime.errors import SchemaChanged, SourceError, UsageError
from runtime.ledger.drift import changed_shapes
from runtime.ledger.facts import Delivery, Facts, State, now
from runtime.ledger.history import state_of
from runtime.ledger.session import LakeContext, write_session
from runtime.process.version import code_version
from runtime.read.snapshot import Snapshot
from runtime.run.availability import unavailable

WHOLE = float("inf")


@dataclass(frozen=True)
class Restoration:
    """What going back to a batch means. `state` is the one published, None when none was.

    `new_again` are the deliveries the next run takes in; `unavailable` those of them that it cannot
    find any more, with the reason; `rows` are each table's before and after, None where a table is
    not in the lake.
    """

    batch_id: int
    since: int
    rows: Mapping[str, tuple[int | None, int | None]]
    new_again: Sequence[Delivery]
    unavailable: Sequence[tuple[Delivery, str]]
    state: State | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the lake is at this batch already."""
        return self.batch_id == self.since


def prospect(context: LakeContext, batch: int) -> Restoration:
    """What a restore would do. Raises UsageError for an unknown batch, SchemaChanged, LakeDamaged."""
    return _prospect(context, context.ledger().contents(), batch)


def restore(
    context: LakeContext, batch: int, *, allow_unavailable: bool = False, since: int | None = None
) -> Restoration:
    """Go back to a batch. `since`: only if that is still the last one.

    Raises UsageError, SchemaChanged, LeaseHeld, Fenced; SourceError when files that would be new again
    are no longer at their source, unless `allow_unavailable`.
    """
    found = prospect(context, batch)
    _require_available(found, allow_unavailable)
    if found.is_empty:
        return found
    begun = time.monotonic()
    with write_session(context, "restore", also=state_of(context.ledger().contents(), batch)) as held:
        found = _prospect(context, held.known, batch)
        _require_available(found, allow_unavailable)
        if since is not None and found.since != since:
            raise UsageError(
                f"restore: batch {found.since} was published while you were asked about going back from "
                f"batch {since}. Nothing was changed; look again."
            )
        if found.is_empty:
            return found
        there = state_of(held.known, batch)
        for name in found.rows:
            if name in there.tables:
                held.heads.restore(name, there.tables[name]["version"])
        state = _state(held.known, held.heads, there, begun)
        held.publish(state)
    return Restoration(batch, found.since, found.rows, found.new_again, found.unavailable, state)


def _prospect(context: LakeContext, known: Facts, batch: int) -> Restoration:
    last, there = context.last_of(known), state_of(known, batch)
    after = known.as_of(batch)
    if changed := changed_shapes(context.tables, after):
        raise SchemaChanged(
            f"{context.settings.lake}: batch {batch} holds {', '.join(changed)} with another schema or key "
            f"than the code declares. Restore it with the code that wrote it, version "
            f"{there.code_version}; then rebuild silver and gold with today's: "
            "python lakehouse.py run --full-refresh"
        )
    again = [d for n, d in sorted(known.deliveries.items()) if _taken(after, n) < _taken(known, n)]
    names = [n for n in context.tables if n in last.tables or n in there.tables]
    rows = {n: (_rows(last, n), _rows(there, n)) for n in names}
    content = Snapshot(context.store, context.tables, there, lambda: started(context.settings))
    for name in content.versions:
        content.files(name)  # raises LakeDamaged where files are gone
    return Restoration(batch, last.batch_id, rows, again, unavailable(context.settings, again))


def _taken(known: Facts, delivery: int) -> float:
    """The bytes of a delivery that are in the lake."""
    return WHOLE if delivery in known.ingested else known.partial.get(delivery, (0, 1))[0]


def _rows(state: State, name: str) -> int | None:
    return state.tables[name]["rows"] if name in state.tables else None


def _require_available(found: Restoration, allowed: bool) -> None:
    if not found.unavailable or allowed:
        return
    first = "; ".join(f"{d.uri} {why}" for d, why in found.unavailable[:3])
    more = len(found.unavailable) - 3
    raise SourceError(
        f"restore: {len(found.unavailable)} of the {len(found.new_again)} files that would become new "
        f"again are not at their source as they were delivered: {first}"
        f"{f'; and {more} more, which --dry-run lists' if more > 0 else ''}. The next run could not take "
        "them in, and their records would be missing from the lake. Nothing was changed. Put them back, "
        "or accept that with --allow-unavailable."
    )


def _state(known: Facts, heads: TableVersions, there: State, begun: float) -> State:
    """The state to publish: that of the batch, under its own number and the new versions."""
    names = [*there.tables]
    versions = {name: entry["version"] for name, entry in there.tables.items()} | heads.versions
    unchanged = {"inserted": 0, "updated": 0, "deleted": 0}
    return State(
        batch_id=known.next_batch_id,
        kind="restore",
        base=there.batch_id,
        at=now().isoformat(),
        tables={n: {**there.tables[n], **unchanged, "version": versions[n]} for n in names},
        fingerprints={n: there.fingerprints[n] for n in names if n in there.fingerprints},
        schemas={n: there.schemas[n] for n in names if n in there.schemas},
        seconds=round(time.monotonic() - begun, 3),
        code_version=code_version(),
    )
