"""Putting the tables back to what the ledger says: whatever a killed writer left behind is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runtime.delta import Heads, Store
from runtime.errors import LakehouseError
from runtime.lease import Owner
from runtime.ledger import Contents, State, state_row
from runtime.progress import Progress
from runtime.table import Table


def rolled_back(store: Store, tables: Mapping[str, Table], owner: Owner, progress: Progress) -> Heads:
    """Every table at its published content. Raises LakehouseError when a published table is gone.

    A table put back has a new version, so the last state is published anew with it.
    """
    store.clear_scratch()
    known = owner.ledger.contents()
    moved = {n: v for n in tables if (v := _put_back(store, known, n, progress)) is not None}
    if moved and known.last is not None:
        entries = {n: {**t, "version": moved.get(n, t["version"])} for n, t in known.last.tables.items()}
        owner.commit([state_row(replace(known.last, tables=entries))])
    return Heads(store, tables.values())


def _put_back(store: Store, known: Contents, name: str, progress: Progress) -> int | None:
    """The version a table has now if it had to be put back."""
    table = store.open(name)
    published = _published(known.last, name)
    if table is None and published is not None:
        raise LakehouseError(
            f"{store.uri(name)}: the table is gone, though batch "
            f"{known.last.batch_id if known.last else 0} published it. Put its folder back from a backup."
        )
    if table is None or table.version() == published:
        return None
    if published is not None:
        table.restore(published)
    elif name in known.published:
        return None  # a restore took it out of the lake; older batches still read it
    else:
        store.drop(name)
    progress.note(f"rolled back {name}: a run was cut off before it published")
    return None if published is None else table.version()


def _published(state: State | None, name: str) -> int | None:
    return state.tables[name]["version"] if state and name in state.tables else None
