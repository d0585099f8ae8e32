"""Putting the tables back to what the ledger says: whatever a killed writer left behind is undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    opened = roll_back(store, tables, owner, progress)
    return Heads(replace(store, claim=owner.claim), tables.values(), opened)


@step("look for what a killed run left")
def roll_back(
    store: Store, tables: Mapping[str, Table], owner: Owner, progress: Progress
) -> dict[str, DeltaTable]:
    """Undo what a killed writer left, by new versions: nothing that a later owner could need is deleted.

    A table put back has a new version, so the last state is published anew with it. Gives the tables that
    are there.
    """
    replace(store, claim=owner.claim).clear_scratch()
    known = owner.ledger.contents()
    opened = {}
    for name, found in _newest(store, tables).items():
        table = _put_back(store, known, tables[name], found, progress)
        if table is not None:
            opened[name] = table
    last = known.last
    if last is not None:
        at = {name: opened[name].version() for name in last.tables if name in opened}
        entries = {n: {**t, "version": at.get(n, t["version"])} for n, t in last.tables.items()}
        if entries != last.tables:
            publish(owner, store, replace(last, tables=entries))
    return opened


def unpublished(store: Store, tables: Mapping[str, Table], last: State | None) -> list[str]:
    """Tables of the last state that were written to since."""
    published = {name: v for name in tables if (v := _published(last, name)) is not None}
    heads = _newest(store, published)
    return [name for name, head in heads.items() if head and head.version() != published[name]]


def _newest(store: Store, names: Iterable[str]) -> dict[str, DeltaTable | None]:
    """The tables as they are now, None where there is none; side by side, for each waits for its own log."""
    wanted = list(names)
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        return dict(zip(wanted, pool.map(store.open, wanted), strict=True))


def _put_back(
    store: Store, known: Contents, declared: Table, table: DeltaTable | None, progress: Progress
) -> DeltaTable | None:
    """The table at its published content. One never published is emptied."""
    name, published = declared.name, _published(known.last, declared.name)
    if table is None and published is not None:
        raise LakehouseError(
            f"{store.uri(name)}: the table is gone, though batch "
            f"{known.last.batch_id if known.last else 0} published it. Put its folder back from a backup."
        )
    if table is None or table.version() == published:
        return table
    if published is not None:
        _restore(table, published)
    elif name in known.published:
        return table  # a restore took it out of the lake; older batches still read it
    else:
        table = store.create(declared)
    progress.note(f"rolled back {name}: a run was cut off before it published")
    return table


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
