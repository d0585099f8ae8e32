"""Roll the tables back to their published versions: undo the writes of a killed process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeGuard

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from runtime.delta.commit_log import Log
from runtime.delta.revert import is_rearranged, revert
from runtime.delta.store import Store, file_list, lacks_feature, row_count, size
from runtime.delta.versions import TableVersions
from runtime.errors import Fenced, LakeDamaged, first_line, is_refused
from runtime.ledger.facts import Facts, State, vacuum_row
from runtime.ledger.lease import Owner
from runtime.ledger.progress import Progress
from runtime.ledger.publish import publish
from runtime.process.profiling import step
from runtime.s3.config import is_s3
from runtime.s3.failures import explained
from runtime.table import Deliver, Table

REBUILD = "python lakehouse.py run --full-refresh"
Head = DeltaTable | DeltaError | None


class Damage(LakeDamaged):
    """A published table that cannot be restored.

    `torn`: its newest commits never reached the disk. `gone`: it has no log, so its versions restart.
    """

    def __init__(
        self, store: Store, table: Table, version: int, why: str, *, torn: bool = False, gone: bool = False
    ) -> None:
        self.table, self.torn, self.is_gone = table, torn, gone
        self.is_raw = isinstance(table.write, Deliver)
        super().__init__(f"{store.uri(table.name)}: published version {version} cannot be read: {why}.")


class DamagedTables(LakeDamaged):
    """All damaged tables, and the command to continue. `lost`: deliveries whose records are gone."""

    def __init__(self, found: Sequence[Damage], known: Facts, lost: Sequence[int]) -> None:
        self.torn = all(damage.torn for damage in found)
        self.lost = lost
        what = " ".join(map(str, found))
        if not any(damage.is_raw for damage in found):
            super().__init__(f"{what} Rebuild silver and gold from bronze with: {REBUILD}")
            return
        files = [known.deliveries[d].uri for d in lost]
        gone = f"the records of {len(files)} files ({', '.join(files[:3])}{', …' * (len(files) > 3)})"
        super().__init__(
            f"{what} That loses {gone if files else 'no record'}, unless the table's folder comes back from "
            "a backup. To go on with the rest, and to take in again what is still at its source, use: "
            f"{REBUILD} --accept-loss, then run"
        )


@step("open the tables")
def rolled_back(
    store: Store,
    tables: Mapping[str, Table],
    owner: Owner,
    progress: Progress,
    *,
    rebuild: bool = False,
    accept_loss: bool = False,
) -> TableVersions:
    """Roll back; returns all tables at their published content, with the scratch space of this owner.

    `rebuild`: drop damaged tables of silver and gold, to fill them from bronze. `accept_loss`: also continue
    without records that bronze has lost. Raises DamagedTables without them.
    """
    opened = roll_back(store, tables, owner, progress, rebuild=rebuild, accept_loss=accept_loss)
    return TableVersions(replace(store, claim=owner.claim), tables.values(), opened)


@step("look for what a killed run left")
def roll_back(
    store: Store,
    tables: Mapping[str, Table],
    owner: Owner,
    progress: Progress,
    *,
    rebuild: bool = False,
    accept_loss: bool = False,
) -> dict[str, DeltaTable]:
    """Undo the writes of a killed process by new versions. Deletes no file that a later owner may need.

    A restored table has a new version, so the last state is published again with it. Returns the tables that
    exist. Raises DamagedTables.
    """
    replace(store, claim=owner.claim).clear_scratch()
    known = owner.ledger.contents()
    opened, damaged = dict[str, DeltaTable](), list[Damage]()
    for name, head in _newest(store, tables).items():
        try:
            table = _put_back(store, known, tables[name], head, progress)
        except Damage as damage:
            damaged.append(damage)
            continue
        if table is not None:
            opened[name] = table
    left = known.last
    if left is not None and damaged:
        left = _without(store, known, damaged, opened, rebuild=rebuild, accept_loss=accept_loss)
        if unreadable := _unreadable(known, damaged):
            owner.commit([vacuum_row(unreadable)])
    if left is not None:
        entries = {n: {**t, **_moved(t, opened.get(n))} for n, t in left.tables.items()}
        if damaged or entries != left.tables:
            publish(owner, store, replace(left, tables=entries))
    return opened


def _moved(entry: Mapping[str, int], table: DeltaTable | None) -> Mapping[str, int]:
    """What the ledger has to say of a table whose version is another one now."""
    if table is None or table.version() == entry["version"]:
        return {}
    return {**size(table), "version": table.version()}


def unpublished(store: Store, tables: Mapping[str, Table], known: Facts) -> list[str]:
    """Tables that were written to after their publish, or that are damaged."""
    published = {name: entry["version"] for name, t in tables.items() if (entry := published_entry(known, t))}
    heads = _newest(store, published)
    return [n for n, head in heads.items() if not _is_at(head, published[n])]


def published_entry(known: Facts, table: Table) -> Mapping[str, int] | None:
    """The ledger's entry of a table's published version; None if the table is not in the lake.

    Code without the table may have published since. Bronze cannot be rebuilt, so its older entry counts as
    long as its deliveries are in the lake.
    """
    if known.last is None or table.name in known.last.tables:
        return known.last.tables[table.name] if known.last else None
    if isinstance(table.write, Deliver) and taken_from(known, table.write.source):
        states = (s.tables[table.name] for s in reversed(known.chain) if table.name in s.tables)
        return next(states, None)
    return None


def taken_from(known: Facts, source: str) -> list[int]:
    """The deliveries of a source that are in the lake, in whole or in part."""
    return sorted(d for d in {*known.ingested, *known.partial} if known.deliveries[d].source == source)


def _newest(store: Store, names: Iterable[str]) -> dict[str, Head]:
    """The newest version of each table, None if there is none. Opened in threads: each waits for I/O."""
    tables = list(names)

    def opened(name: str) -> Head:
        try:
            return store.open(name)
        except DeltaError as error:
            return error

    with ThreadPoolExecutor(max(1, len(tables))) as pool:
        return dict(zip(tables, pool.map(opened, tables), strict=True))


def _is_at(head: Head, version: int) -> TypeGuard[DeltaTable]:
    return isinstance(head, DeltaTable) and head.version() == version


def _put_back(
    store: Store, known: Facts, declared: Table, head: Head, progress: Progress
) -> DeltaTable | None:
    """The table at its published content; empty if never published. Raises Damage, Fenced."""
    name, entry = declared.name, published_entry(known, declared)
    if entry is None:
        if head is None or name in known.published:  # removed by a restore; older batches still read it
            return head if isinstance(head, DeltaTable) else None
        table = store.create(declared)
    elif _is_at(head, entry["version"]):
        return _checked(store, declared, head, entry)
    else:
        table = _checked(store, declared, _restored(store, declared, head, entry["version"]), entry)
    progress.note(f"rolled back {name}: a run was cut off before it published")
    return table


def _checked(store: Store, declared: Table, table: DeltaTable, entry: Mapping[str, int]) -> DeltaTable:
    """The table itself. Raises Damage if its number of rows is not the published one."""
    rows = row_count(table)
    if rows != entry["rows"]:
        why = f"it has {rows:,} rows where {entry['rows']:,} were published"
        raise Damage(store, declared, entry["version"], why)
    return table


def _restored(store: Store, declared: Table, head: Head, version: int) -> DeltaTable:
    """Restore a table to a version by a new one. Raises Damage, Fenced, StorageError."""
    log = Log(store.uri(declared.name), store.access)
    versions = log.versions()
    if not versions:
        raise Damage(store, declared, version, "the table is gone", gone=True)
    if versions[-1] < version:
        raise Damage(store, declared, version, "its commit never reached the disk", torn=True)
    try:
        if isinstance(head, DeltaTable):
            head.restore(version)
            return head
    except DeltaError as refused:
        assert isinstance(head, DeltaTable)
        if is_refused(refused):
            raise
        if is_s3(log.uri) and (refusal := explained(refused, log.uri, store.access)):
            raise refusal from refused
        if log.versions()[-1] > versions[-1]:
            raise _rival(log.uri) from refused
        if not lacks_feature(refused):
            if isinstance(declared.write, Deliver) and is_rearranged(log, version, versions[-1]):
                return head  # OPTIMIZE kept every record, and a VACUUM removed the files from before
            raise Damage(store, declared, version, first_line(refused)) from refused
    try:
        revert(log, version)
    except FileExistsError as taken:
        raise _rival(log.uri) from taken
    except ValueError as refused:
        raise Damage(store, declared, version, first_line(refused)) from refused
    table = store.open(declared.name)
    assert table is not None
    return table


def _rival(uri: str) -> Fenced:
    return Fenced(
        f"{uri}: someone else wrote to it while it was put back to its published version. "
        "Nothing was published; find the other writer, then run again: the next run rolls back."
    )


def _without(
    store: Store,
    known: Facts,
    damaged: Sequence[Damage],
    opened: dict[str, DeltaTable],
    *,
    rebuild: bool,
    accept_loss: bool,
) -> State:
    """The last state without its damaged tables, with bronze at its last readable version.

    Raises DamagedTables without `rebuild`, or if records are lost without `accept_loss`.
    """
    last = known.last
    assert last is not None
    older = {d.table: _last_readable(store, known, d.table) for d in damaged if d.is_raw}
    lost = _lost(known, older)
    if not rebuild or (lost and not accept_loss):
        raise DamagedTables(damaged, known, sorted(lost))
    names = {d.table.name for d in damaged}
    entries = {name: entry for name, entry in last.tables.items() if name not in names}
    for table, state in older.items():
        if state is not None:
            entries[table.name] = state.tables[table.name]
            head, at = _newest(store, [table.name])[table.name], state.tables[table.name]["version"]
            opened[table.name] = head if _is_at(head, at) else _restored(store, table, head, at)
    return replace(
        last,
        tables=entries,
        fingerprints={n: f for n, f in last.fingerprints.items() if n in entries},
        schemas={n: f for n, f in last.schemas.items() if n in entries},
        missing={str(d): at for d, at in lost.items()},
    )


def _last_readable(store: Store, known: Facts, table: Table) -> State | None:
    """The last state whose version of a table has all its rows and files."""
    for state in reversed(known.chain):
        if entry := state.tables.get(table.name):
            try:
                opened = store.open(table.name, entry["version"])
            except DeltaError:
                continue
            log = Log(store.uri(table.name), store.access)
            if opened and row_count(opened) == entry["rows"] and not log.missing(file_list(opened)["path"]):
                return state
    return None


def _lost(known: Facts, older: Mapping[Table, State | None]) -> dict[int, tuple[int, int]]:
    """Deliveries that bronze tables lose if restored to a state, with (next byte, next line) in it."""
    lost = {}
    for table, state in older.items():
        assert isinstance(table.write, Deliver)
        before = known.as_of(state.batch_id) if state else replace(known, states=())
        for d in taken_from(known, table.write.source):
            if d not in before.ingested and (
                d in known.ingested or before.partial.get(d) != known.partial.get(d)
            ):
                lost[d] = before.partial.get(d, (0, 1))
    return lost


def _unreadable(known: Facts, damaged: Sequence[Damage]) -> list[int]:
    """Earlier batches with a table whose log is gone: its version numbers restart, so they are unreadable."""
    gone = {d.table.name for d in damaged if d.is_gone}
    assert known.last is not None
    return [
        s.batch_id for s in known.readable[:-1] if gone & set(s.tables) and s.batch_id != known.last.batch_id
    ]
