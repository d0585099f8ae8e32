"""Restore: put all tables back to their content at a batch, by new commits, published as one state.

Files ingested later become new again with the same delivery numbers, so the next run brings gold back to
what it was. That needs the delivered files: those no longer at their source are detected before anything is
changed.
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
    """What it means to restore a batch. `state` is what was published, None if nothing was.

    `new_again`: the deliveries that the next run ingests. `unavailable`: those of them that are no longer
    at their source, with the reason. `rows`: the row counts of each table before and after, None where the
    lake lacks it.
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
    """What a restore would change. Raises UsageError for an unknown batch, SchemaChanged, LakeDamaged."""
    return _prospect(context, context.ledger().contents(), batch)


def restore(
    context: LakeContext, batch: int, *, allow_unavailable: bool = False, since: int | None = None
) -> Restoration:
    """Go back to a batch. `since`: only if that batch is still the last one.

    Raises UsageError, SchemaChanged, LeaseHeld, Fenced; SourceError when files that would be new again are
    no longer at their source, unless `allow_unavailable`.
    """
    plan = prospect(context, batch)
    _require_available(plan, allow_unavailable)
    if plan.is_empty:
        return plan
    begun = time.monotonic()
    with write_session(context, "restore", also=state_of(context.ledger().contents(), batch)) as session:
        plan = _prospect(context, session.known, batch)
        _require_available(plan, allow_unavailable)
        if since is not None and plan.since != since:
            raise UsageError(
                f"restore: batch {plan.since} was published while you were asked about going back from "
                f"batch {since}. Nothing was changed; look again."
            )
        if plan.is_empty:
            return plan
        target = state_of(session.known, batch)
        for name in plan.rows:
            if name in target.tables:
                session.heads.restore(name, target.tables[name]["version"])
        state = _state(session.known, session.heads, target, begun)
        session.publish(state)
    return Restoration(batch, plan.since, plan.rows, plan.new_again, plan.unavailable, state)


def _prospect(context: LakeContext, known: Facts, batch: int) -> Restoration:
    last, target = context.last_of(known), state_of(known, batch)
    after = known.as_of(batch)
    if changed := changed_shapes(context.tables, after):
        raise SchemaChanged(
            f"{context.settings.lake}: batch {batch} holds {', '.join(changed)} with another schema or key "
            f"than the code declares. Restore it with the code that wrote it, version "
            f"{target.code_version}; then rebuild silver and gold with today's: "
            "python lakehouse.py run --full-refresh"
        )
    again = [d for n, d in sorted(known.deliveries.items()) if _taken(after, n) < _taken(known, n)]
    names = [n for n in context.tables if n in last.tables or n in target.tables]
    rows = {n: (_rows(last, n), _rows(target, n)) for n in names}
    snapshot = Snapshot(context.store, context.tables, target, lambda: started(context.settings))
    for name in snapshot.versions:
        snapshot.files(name)  # raises LakeDamaged where files are gone
    return Restoration(batch, last.batch_id, rows, again, unavailable(context.settings, again))


def _taken(known: Facts, delivery: int) -> float:
    """The bytes of a delivery that are in the lake; WHOLE for all of them."""
    return WHOLE if delivery in known.ingested else known.partial.get(delivery, (0, 1))[0]


def _rows(state: State, name: str) -> int | None:
    return state.tables[name]["rows"] if name in state.tables else None


def _require_available(plan: Restoration, allowed: bool) -> None:
    if not plan.unavailable or allowed:
        return
    first = "; ".join(f"{d.uri} {why}" for d, why in plan.unavailable[:3])
    more = len(plan.unavailable) - 3
    raise SourceError(
        f"restore: {len(plan.unavailable)} of the {len(plan.new_again)} files that would become new "
        f"again are not at their source as they were delivered: {first}"
        f"{f'; and {more} more, which --dry-run lists' if more > 0 else ''}. The next run could not take "
        "them in, and their records would be missing from the lake. Nothing was changed. Put them back, "
        "or accept that with --allow-unavailable."
    )


def _state(known: Facts, heads: TableVersions, target: State, begun: float) -> State:
    """The state to publish: that of the batch, with the next number and the new versions."""
    names = [*target.tables]
    versions = {name: entry["version"] for name, entry in target.tables.items()} | heads.versions
    unchanged = {"inserted": 0, "updated": 0, "deleted": 0}
    return State(
        batch_id=known.next_batch_id,
        kind="restore",
        base=target.batch_id,
        at=now().isoformat(),
        tables={n: {**target.tables[n], **unchanged, "version": versions[n]} for n in names},
        fingerprints={n: target.fingerprints[n] for n in names if n in target.fingerprints},
        schemas={n: target.schemas[n] for n in names if n in target.schemas},
        seconds=round(time.monotonic() - begun, 3),
        code_version=code_version(),
    )
