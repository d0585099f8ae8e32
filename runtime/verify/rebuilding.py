"""Check that silver and gold equal a rebuild from bronze, made in a scratch lake."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.delta.store import Store, file_list, file_uris
from runtime.delta.versions import TableVersions
from runtime.engine import Engine
from runtime.ledger.facts import Facts
from runtime.ledger.progress import Progress
from runtime.read.diff.changes import Change, TableDiff
from runtime.read.keys import key_text
from runtime.read.snapshot import Files
from runtime.run.batch import RunContext, derived, rebuilt
from runtime.run.steps.batch_context import Pinned
from runtime.table import Deliver, Table
from runtime.verify.files import Read
from runtime.verify.reading import Stored, digest, part_of
from runtime.verify.scratch_lake import scratch_lake
from runtime.verify.verdict import SHOWN, Check, first_line

if TYPE_CHECKING:
    import duckdb

PARTS_COMPARED = 10
# A sum of doubles depends in its last bits on the order of its parts, and a rebuild has another order.
TOLERANCE = 1e-9  # relative, of floating-point columns; `digest` writes as many digits
LONGEST = 60  # characters printed of a value
MEND = "Mend with: python lakehouse.py run --full-refresh"


@dataclass(frozen=True)
class Rebuilding:
    """What a rebuild needs: the lake's tables as published, an engine, and a progress display."""

    store: Store
    tables: Mapping[str, Table]
    known: Facts
    engine: Engine
    progress: Progress
    batch_bytes: int


def check_rebuilt(
    work: Rebuilding,
    connection: duckdb.DuckDBPyConnection,
    reads: Mapping[str, Read],
    outdated: Collection[str],
) -> Iterator[Check]:
    """Compare each readable table with one made from bronze by the current rules.

    `outdated`: tables whose rows other rules made; there a difference is no damage.
    """
    selected = {n: r for n, r in reads.items() if not isinstance(work.tables[n].write, Deliver)}
    with scratch_lake(work.store) as scratch:
        try:
            remade = _rebuild(work, scratch, _with_inputs(work.tables, selected))
        except Exception as damage:
            message = f"could not be made from bronze to compare: {first_line(damage)}"
            yield Check("rebuild", None, False, message)
            return
        for name, read in selected.items():
            yield _compared(connection, read, remade[name], is_outdated=name in outdated)


def _with_inputs(tables: Mapping[str, Table], names: Collection[str]) -> dict[str, Table]:
    """The tables, and all tables that they are made from."""
    selected, waiting = dict[str, Table](), list(names)
    while waiting:
        table = tables[waiting.pop()]
        selected[table.name] = table
        waiting += [i.table.name for i in table.inputs if i.table.name not in selected]
    return selected


def _rebuild(work: Rebuilding, scratch: Store, tables: Mapping[str, Table]) -> dict[str, Stored]:
    last = work.known.last
    assert last is not None
    heads = TableVersions(scratch, derived(tables), opened={})
    bronze_at = {
        name: Pinned(work.store.uri(name), last.tables[name]["version"], last.batch_id)
        for name, table in tables.items()
        if isinstance(table.write, Deliver)
    }
    shared = RunContext(tables, heads, work.engine, work.progress)
    rebuilt(shared, work.known, work.batch_bytes, bronze_at)
    return {table.name: _stored(table, heads) for table in derived(tables)}


def _stored(table: Table, heads: TableVersions) -> Stored:
    opened = heads[table.name]
    files = Files(tuple(file_uris(opened)), frozenset(table.column_names))
    return Stored(table, files, sum(file_list(opened)["num_records"]))


def _compared(
    connection: duckdb.DuckDBPyConnection, read: Read, remade: Stored, *, is_outdated: bool
) -> Check:
    """Compare digests first; compare rows one by one only where digests differ."""
    stored, parts = read.stored, read.stored.parts
    name, other = stored.table.name, digest(connection, remade, parts)
    unequal = sorted(p for p in {*read.digest, *other} if read.digest.get(p) != other.get(p))
    for some in range(0, len(unequal), PARTS_COMPARED):
        compared = ", ".join(map(str, unequal[some : some + PARTS_COMPARED]))
        diff = TableDiff(
            stored.table, stored.files, remade.files, None, connection,
            only=f"{part_of(stored.table, parts)} in ({compared})", tolerance=TOLERANCE,
        )  # fmt: skip
        if differing := sum(diff.counts.values()):
            break
    else:
        return Check("rebuild", name, True, f"equal to a rebuild from bronze: {stored.rows:,} rows")
    more = " or more" if some + PARTS_COMPARED < len(unequal) else ""
    rows = f"{differing:,}{more} rows are not what bronze makes of them"
    detail = [_told(change) for change in diff.rows(SHOWN)]
    if differing > SHOWN:
        detail.append(f"… and {differing - SHOWN:,}{more} more")
    if is_outdated:
        return Check("rebuild", name, True, f"rules changed: {rows} by the rules of now. {MEND}", detail)
    return Check("rebuild", name, False, f"{rows}. {MEND}", detail)


def _told(change: Change) -> str:
    """One row: where it differs, or which side lacks it."""
    key = f"{', '.join(change.key)} = {key_text(tuple(change.key.values()))}"
    if change.before is None:
        return f"{key} is missing"
    if change.after is None:
        return f"{key} is there, but no record makes it"
    differing = (
        f"{c} is {_shown(change.before[c])}, rebuilt {_shown(change.after[c])}" for c in change.columns
    )
    return f"{key}: {'; '.join(differing)}"


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
