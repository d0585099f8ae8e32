"""From a row to the rows it was made from, along the inputs that the tables declare.

Nothing is computed again: rows are looked up by the keys and values in the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtime.read.keys import key_columns, parse_key
from runtime.read.snapshot import Snapshot
from runtime.read.sql import quoted
from runtime.read.trace.candidates import nearest_rows
from runtime.read.trace.records import itself, with_records
from runtime.read.trace.rows import Row, agrees, found, key_of, one_row, rows_where
from runtime.read.trace.tree import Found, Record, Trace
from runtime.table import Collect, Deliver, Fold, Input, Lookup, Merge, Periods, Rows, Table
from runtime.text.values import as_text

FIRST = 3  # rows listed of many that make one


def trace_row(snapshot: Snapshot, name: str, key: object) -> Trace:
    """What a row was made from, down to records. A bare name means gold.

    Raises UsageError for an unknown table or key, with the nearest one.
    """
    table = snapshot.table(name if "." in name else f"gold.{name}").table
    row = one_row(snapshot, table, parse_key(table, key))
    top = found("row", table, row, sources=_below(snapshot, table, row))
    return Trace(snapshot.batch_id, with_records(snapshot, top))


def _below(snapshot: Snapshot, table: Table, row: Row) -> Iterator[Found | Record]:
    """What a row was made from, without the records of silver rows: `with_records` adds them all at once."""
    if isinstance(table.write, Collect | Deliver):
        yield itself(table, row)
    if not isinstance(table.write, Merge):
        return
    driver, *others = table.inputs
    if isinstance(driver, Rows):
        yield from _made_from(snapshot, table, driver, row, others)
    elif isinstance(driver, Fold) and table.write.newest_by:
        yield from _newest(snapshot, table, driver, row)
    elif isinstance(driver, Fold) and driver.made_by:
        yield from _chosen(snapshot, table, driver, row)
    elif isinstance(driver, Fold):
        yield from _any_of(snapshot, table, driver, row)
    elif isinstance(driver, Periods):
        yield from _begun_by(snapshot, driver, row)


def _made_from(
    snapshot: Snapshot, table: Table, driver: Rows, row: Row, others: Sequence[Input]
) -> Iterator[Found]:
    key = dict(zip(driver.key, key_of(table, row), strict=True))
    for made_from in rows_where(snapshot, driver.table, key):
        below = _below(snapshot, driver.table, made_from)
        yield found("made from", driver.table, made_from, sources=below)
        for lookup in others:
            if isinstance(lookup, Lookup):
                yield from _looked_up(snapshot, lookup, row, made_from)


def _looked_up(snapshot: Snapshot, lookup: Lookup, row: Row, driving: Row) -> Iterator[Found]:
    """The rows that match, the one that the row references first; without a match, the nearest."""
    values = dict(zip(lookup.theirs, (driving[name] for name in lookup.ours), strict=True))
    key_names = [column.name for column in key_columns(lookup.table)]
    if any(row[name] is None for name in key_names):
        near = tuple(nearest_rows(snapshot, lookup.table, values))
        note = "these are near" if near else "and none is near"
        yield Found("no match in", lookup.table.name, "", values, note, near)
        return
    match = rows_where(snapshot, lookup.table, values, f"order by {_names(key_names)}", lookup.alike)
    for other in sorted(match, key=lambda r: [r[name] != row[name] for name in key_names]):
        is_ours = all(other[name] == row[name] for name in key_names)
        yield found("joined to" if is_ours else "matches as well", lookup.table, other)


def _newest(snapshot: Snapshot, table: Table, driver: Fold, row: Row) -> Iterator[Found]:
    """The input rows that changed a value of this row, the latest first."""
    key = dict(zip(driver.key, key_of(table, row), strict=True))
    order = [theirs for _, theirs in driver.made_by]
    columns = [name for name in table.content if name in driver.table.content and name not in key]
    changes: list[tuple[Row, str]] = []
    before: Row = {}
    for after in rows_where(snapshot, driver.table, key, f"order by {_names(order)}"):
        changed = [name for name in columns if before and before[name] != after[name]]
        if changed or not before:
            changes.append((after, ", ".join(_arrow(name, before, after) for name in changed)))
        before = after
    for i, (after, note) in enumerate(reversed(changes)):
        relation = "before that by" if i else "set by"
        yield found(relation, driver.table, after, note or "first seen", only=[*order, *columns])


def _chosen(snapshot: Snapshot, table: Table, driver: Fold, row: Row) -> Iterator[Found]:
    """The input rows that agree with this row, then the first others of the key."""
    key = dict(zip(driver.key, key_of(table, row), strict=True))
    key_names = _names([column.name for column in key_columns(driver.table)])
    rows = rows_where(snapshot, driver.table, key, f"order by {key_names}")
    chosen = [r for r in rows if agrees(row, r, driver.made_by)]
    others = [r for r in rows if not agrees(row, r, driver.made_by)]
    yield from _first("made from", driver.table, chosen)
    yield from _first("passed over", driver.table, others)


def _any_of(snapshot: Snapshot, table: Table, driver: Fold, row: Row) -> Iterator[Found]:
    """The first of the input rows; each of them alone makes this row."""
    key = dict(zip(driver.key, key_of(table, row), strict=True))
    key_names = _names([column.name for column in key_columns(driver.table)])
    rows = rows_where(snapshot, driver.table, key, f"order by {key_names}")
    for i, other in enumerate(rows[:FIRST]):
        below = tuple(_below(snapshot, driver.table, other))
        yield found("made from", driver.table, other, _place(i, rows), sources=below)


def _begun_by(snapshot: Snapshot, driver: Periods, row: Row) -> Iterator[Found]:
    """The input row that begins the period."""
    same = {name: row[name] for name in (*driver.key, *driver.value)}
    for other in rows_where(snapshot, driver.table, {**same, driver.at: row[driver.begins]}):
        yield found("begun by", driver.table, other)


def _first(relation: str, table: Table, rows: Sequence[Row]) -> Iterator[Found]:
    for i, row in enumerate(rows[:FIRST]):
        yield found(relation, table, row, _place(i, rows))


def _place(i: int, rows: Sequence[Row]) -> str:
    return f"{i + 1} of {len(rows):,}" if len(rows) > 1 else ""


def _arrow(name: str, before: Row, after: Row) -> str:
    texts = ("NULL" if (text := as_text(row[name])) is None else text for row in (before, after))
    return f"{name} {' → '.join(texts)}"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))
