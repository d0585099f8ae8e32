"""One batch: every table in turn, then one publish.

A batch is a pure function of (published tables, files). If it stops before the publish, readers see the lake
unchanged, and the next run rolls the tables back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from runtime.delta.change_set import NOTHING, Changes
from runtime.delta.store import size
from runtime.delta.versions import TableVersions
from runtime.engine import Engine
from runtime.ledger.facts import BEHIND, Facts, State, now
from runtime.ledger.history import REBUILT, added, bytes_of, chunks, late_sources, redelivered, taken_in
from runtime.ledger.progress import Progress
from runtime.ledger.rollback import published_entry
from runtime.process import profiling
from runtime.process.version import code_version
from runtime.run.plan import Batch
from runtime.run.steps import bronze, gold, periods, quarantine, silver
from runtime.run.steps.batch_context import BatchContext, Pinned
from runtime.settings.load import SOURCES
from runtime.sources.jsonpaths import Renames, mark_of
from runtime.table import Collect, Deliver, Merge, Periods, Table, Upsert, fingerprints, in_order

NAMED = 20  # lost records that a state lists by table
VERBS = {Deliver: "append", Upsert: "upsert", Collect: "append", Merge: "merge"}


@dataclass
class RunContext:
    """The objects that all batches of a run share."""

    tables: Mapping[str, Table]
    heads: TableVersions
    engine: Engine
    progress: Progress
    renames: Mapping[str, Renames] = field(default_factory=dict)  # by source
    at: Table | None = None  # the table that is being written


def take_in(shared: RunContext, known: Facts, batch: Batch) -> State:
    """Carry a batch of files through the layers. Returns the state to publish."""
    begun, at = time.monotonic(), now()
    batch_id = known.next_batch_id
    content_bytes = sum(s.size for p in batch for s in p.slices)
    shared.progress.batch(batch_id, len(batch), content_bytes)
    arrived = {p.file.delivery for p in batch}
    late, new = late_sources(known, arrived), new_tables(shared.tables, known)
    context = BatchContext(
        shared.engine,
        shared.heads,
        batch_id,
        content_bytes,
        renames=shared.renames,
        late=late,
        # With a late delivery or a new table, silver also reads records of files outside this batch.
        redelivered=redelivered(known, arrived, only=None if late or new else arrived),
    )
    for name in new & known.published:
        shared.heads.recreate(shared.tables[name])  # out of the lake after a restore, or behind
    _walk(shared, context, new, batch, at)
    state = state_after(shared, context, known, kind="run", begun=begun)
    return replace(
        state,
        files={s: sum(p.file.listed.source == s for p in batch) for s in SOURCES},
        renames={source: mark for source, of in shared.renames.items() if (mark := mark_of(of))},
        deliveries=[p.file.delivery for p in batch if p.rest is None],
        partial={str(p.file.delivery): p.rest for p in batch if p.rest is not None},
    )


def rebuild(shared: RunContext, known: Facts, batch_bytes: int) -> State:
    """Rebuild silver and gold from bronze. Returns the state to publish."""
    begun = time.monotonic()
    for table in derived(shared.tables):
        shared.heads.recreate(table)
    total = BatchContext(shared.engine, shared.heads, known.next_batch_id)
    total.changes = rebuilt(shared, known, batch_bytes)
    return state_after(shared, total, known, kind=REBUILT, begun=begun)


def derived(tables: Mapping[str, Table]) -> list[Table]:
    """Silver and gold tables, each after its inputs."""
    return [t for t in in_order(tables) if t.name in tables and not isinstance(t.write, Deliver)]


def rebuilt(
    shared: RunContext, known: Facts, batch_bytes: int, bronze_at: Mapping[str, Pinned] | None = None
) -> dict[str, Changes]:
    """Fill the empty derived tables from bronze, in chunks of bounded size. Returns the counts by table.

    `bronze_at`: where to read bronze tables, if not in the store of this run.
    """
    done: set[int] = set()
    made: list[dict[str, Changes]] = []
    repeats = redelivered(known)
    for chunk in chunks(known, batch_bytes):
        taken = {d for state in chunk for d in taken_in(state)}
        context = BatchContext(
            shared.engine,
            shared.heads,
            known.next_batch_id,
            bytes_of(known, taken),
            late=frozenset(known.deliveries[d].source for d in taken if d < max(done, default=0)),
            redelivered=repeats,
            elsewhere=bronze_at or {},
        )
        ids = ", ".join(str(state.batch_id) for state in chunk)
        shared.progress.batch(known.next_batch_id, len(taken), bytes_of(known, taken))
        for table in shared.tables.values():
            if isinstance(table.write, Deliver):
                arrived = context.read(table).where(f"_batch_id in ({ids})")
                context.changes[table.name] = Changes(after=arrived)
        for table in derived(shared.tables):
            carry_out(shared, context, table, lambda t=table, b=context: derive(b, t))  # type: ignore[misc]
        done |= taken
        made.append(context.changes)
        shared.heads.store.clear_scratch()
    return {t.name: summed([c[t.name] for c in made]) for t in derived(shared.tables)}


def _walk(shared: RunContext, context: BatchContext, new: set[str], batch: Batch, at: datetime) -> None:
    for table in in_order(shared.tables):
        write = table.write
        if isinstance(write, Deliver):
            slices = [s for p in batch if p.file.listed.source == write.source for s in p.slices]
            carry_out(shared, context, table, lambda t=table, s=slices: bronze.deliver(context, t, s, at))  # type: ignore[misc]
        elif table.name in new and isinstance(write, Merge):
            carry_out(shared, context, table, lambda t=table: gold.fill(context, t))  # type: ignore[misc]
        elif table.name in new and isinstance(write, Upsert):
            everything = context.read(table.inputs[0].table)
            carry_out(shared, context, table, lambda t=table, r=everything: silver.upsert(context, t, r))  # type: ignore[misc]
        else:
            carry_out(shared, context, table, lambda t=table: derive(context, t))  # type: ignore[misc]


def derive(context: BatchContext, table: Table) -> Changes:
    """Bring a table up to date with the change sets of its inputs."""
    if isinstance(table.write, Upsert):
        return silver.upsert(context, table, context.changes[table.inputs[0].table.name].after)
    if isinstance(table.write, Collect):
        return quarantine.collect(context, table)
    if isinstance(table.inputs[0], Periods):
        return periods.merge(context, table, table.inputs[0])
    return gold.merge(context, table)


def carry_out(shared: RunContext, context: BatchContext, table: Table, step: Callable[[], Changes]) -> None:
    """Run the step of one table, and report it to the progress display and the profile."""
    begun, shared.at = time.monotonic(), table
    with profiling.of(table.name, "plan"):
        context.changes[table.name] = changes = step()
    shared.at = None
    verb = "merge" if changes.updated or changes.deleted else VERBS[type(table.write)]
    verb = "unchanged" if changes.is_empty else verb
    shared.progress.table(table.name, verb, changes, time.monotonic() - begun)


def state_after(shared: RunContext, context: BatchContext, known: Facts, *, kind: str, begun: float) -> State:
    """The state to publish after the steps of a batch."""
    last = known.last
    changes = context.changes
    silver_changes = [changes[t.name] for t in shared.tables.values() if t.name in changes]
    return State(
        batch_id=context.batch_id,
        kind=kind,
        base=None if last is None else last.batch_id,
        at=now().isoformat(),
        tables=_carried(shared.tables, last)
        | {
            name: _table_entry(shared.heads, name, changes.get(name, NOTHING), last) for name in shared.tables
        },
        records=added([c.records for c in silver_changes]),
        lost={name: [len(c.lost), list(c.lost[:NAMED])] for name, c in changes.items() if c.lost},
        judged={name: dict(c.records) for name, c in changes.items() if c.records.get("delivered")},
        reasons=added([c.reasons for c in silver_changes]),
        fingerprints=dict(last.fingerprints if last else {})
        | {name: _fingerprint(t, last, kind, changes) for name, t in shared.tables.items()},
        schemas=dict(last.schemas if last else {})
        | {name: fingerprints.shape(t) for name, t in shared.tables.items()},
        seconds=round(time.monotonic() - begun, 3),
        engine=shared.engine.name,
        code_version=code_version(),
    )


def _carried(tables: Mapping[str, Table], last: State | None) -> dict[str, Mapping[str, int]]:
    """Entries of published tables that this code lacks: same version, marked as behind."""
    unknown = {name: entry for name, entry in (last.tables if last else {}).items() if name not in tables}
    still = {"inserted": 0, "updated": 0, "deleted": 0, BEHIND: 1}
    return {name: {**entry, **still} for name, entry in unknown.items()}


def _table_entry(heads: TableVersions, name: str, changes: Changes, last: State | None) -> dict[str, int]:
    """Version, size and row counts of a table; an unchanged version is not measured again."""
    version_ = heads.versions[name]
    before = last.tables.get(name) if last else None
    measured = before if before and before["version"] == version_ else size(heads[name])
    return {
        "version": version_,
        "inserted": changes.inserted,
        "updated": changes.updated,
        "deleted": changes.deleted,
        "rows": measured["rows"],
        "files": measured["files"],
        "bytes": measured["bytes"],
        "excess": measured.get("excess", 0),
    }


def _fingerprint(table: Table, last: State | None, kind: str, changes: Mapping[str, Changes]) -> str:
    """The fingerprint of the rules that made the table's rows; SEVERAL after a change without a rebuild."""
    rules = fingerprints.rules(table)
    old = last.fingerprints.get(table.name) if last and kind != REBUILT else None
    if old in (None, rules) or changes.get(table.name, NOTHING).is_empty:
        return old or rules
    return fingerprints.SEVERAL


def new_tables(tables: Mapping[str, Table], known: Facts) -> set[str]:
    """Tables that the lake lacks, or that missed batches of code without them. An empty lake has none.

    Bronze cannot fall behind: it holds exactly the deliveries that were taken in.
    """
    if known.last is None:
        return set()
    entries = {name: published_entry(known, table) for name, table in tables.items()}
    return {
        n for n, e in entries.items() if not e or (BEHIND in e and not isinstance(tables[n].write, Deliver))
    }


def summed(parts: Sequence[Changes]) -> Changes:
    """The counts of several change sets of one table, without rows."""
    return Changes(
        inserted=sum(c.inserted for c in parts),
        updated=sum(c.updated for c in parts),
        deleted=sum(c.deleted for c in parts),
        records=added([c.records for c in parts]),
        reasons=added([c.reasons for c in parts]),
        lost=[text for c in parts for text in c.lost],
    )
