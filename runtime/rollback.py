"""Putting the tables back to what the ledger says: whatever a killed writer left behind is undone."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from runtime.delta import Heads, Store
from runtime.errors import Fenced, LakehouseError, is_disk_full
from runtime.lease import Owner
from runtime.ledger import Contents, State
from runtime.profiling import step
from runtime.progress import Progress
from runtime.publishing import publish
from runtime.table import Table


@step("open the tables")
def rolled_back(store: Store, tables: Mapping[str, Table], owner: Owner, progress: Progress) -> Heads:
    """Every table at its published content, and scratch space of this owner.

    Raises LakehouseError when a published table is gone.
    """
    roll_back(store, tables, owner, progress)
    return Heads(replace(store, claim=owner.claim), tables.values())


@step("look for what a killed run left")
def roll_back(store: Store, tables: Mapping[str, Table], owner: Owner, progress: Progress) -> None:
    """Undo what a killed writer left, by new versions: nothing that a later owner could need is deleted.

    A table put back has a new version, so the last state is published anew with it.
    """
    replace(store, claim=owner.claim).clear_scratch()
    known = owner.ledger.contents()
    moved = {n: v for n in tables if (v := _put_back(store, known, tables[n], progress)) is not None}
    if moved and known.last is not None:
        entries = {n: {**t, "version": moved.get(n, t["version"])} for n, t in known.last.tables.items()}
        publish(owner, store, replace(known.last, tables=entries))


def unpublished(store: Store, tables: Mapping[str, Table], last: State | None) -> list[str]:
    """Tables of the last state that were written to since."""
    published = {name: v for name in tables if (v := _published(last, name)) is not None}
    with ThreadPoolExecutor(max(1, len(published))) as pool:  # each waits for its own log
        heads = dict(zip(published, pool.map(store.open, published), strict=True))
    return [name for name, head in heads.items() if head and head.version() != published[name]]


def _put_back(store: Store, known: Contents, declared: Table, progress: Progress) -> int | None:
    """The version a table has now if it had to be put back. One never published is emptied."""
    name = declared.name
    table, published = store.open(name), _published(known.last, name)
    if table is None and published is not None:
        raise LakehouseError(
            f"{store.uri(name)}: the table is gone, though batch "
            f"{known.last.batch_id if known.last else 0} published it. Put its folder back from a backup."
        )
    if table is None or table.version() == published:
        return None
    if published is not None:
        _restore(table, published)
    elif name in known.published:
        return None  # a restore took it out of the lake; older batches still read it
    else:
        store.create(declared)
    progress.note(f"rolled back {name}: a run was cut off before it published")
    return None if published is None else table.version()


def _restore(table: DeltaTable, version: int) -> None:
    try:
        table.restore(version)
    except CommitFailedError as conflict:
        if is_disk_full(conflict):
            raise
        raise Fenced(
            f"{table.table_uri}: someone else wrote to it while it was put back to its published version. "
            "Nothing was published; find the other writer, then run again: the next run rolls back."
        ) from conflict


def _published(state: State | None, name: str) -> int | None:
    return state.tables[name]["version"] if state and name in state.tables else None
