"""The delivered records of silver rows: the one that made each row, and the others of its key.

The row names the record that made it. The others are searched in bronze by the delivered key fields, read
from the raw text. This search only filters; it decides nothing about a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from runtime.read.keys import key_columns, key_literal, key_text, parse_key
from runtime.read.snapshot import Snapshot
from runtime.read.sql import quoted, text_literal
from runtime.read.trace.rows import Row, ask, in_sql, key_of
from runtime.read.trace.tree import DELIVERED, DUPLICATE, QUARANTINED, SUPERSEDED, WINNER, Found, Record
from runtime.table import Collect, Rejects, Table, Upsert
from runtime.table.schema import Column

SilverKey = tuple[str, str]  # a table's name, and the text of a key
NOT_IN_QUARANTINE = "select null::varchar[] as reasons, null as _delivery, null as _source_line where false"


def itself(table: Table, row: Row) -> Record:
    """A row of bronze or of the quarantine as a Record."""
    outcome, reasons = (QUARANTINED, row["reasons"]) if isinstance(table.write, Collect) else (DELIVERED, ())
    return _record(table, row, outcome, reasons)


def with_records(snapshot: Snapshot, top: Found) -> Found:
    """The tree with records below each of its silver rows. Each bronze table is searched once."""
    keys_by_table: dict[str, set[str]] = {}
    for row in _rows(top):
        if isinstance(snapshot.tables[row.table].write, Upsert):
            keys_by_table.setdefault(row.table, set()).add(row.key)
    records: dict[SilverKey, tuple[Record, ...]] = {}
    for name, keys in keys_by_table.items():
        records |= records_of(snapshot, snapshot.tables[name], sorted(keys))
    return _with(top, records)


def _rows(row: Found) -> Iterator[Found]:
    yield row
    for source in row.sources:
        if isinstance(source, Found):
            yield from _rows(source)


def _with(row: Found, records: Mapping[SilverKey, tuple[Record, ...]]) -> Found:
    below = tuple(_with(s, records) if isinstance(s, Found) else s for s in row.sources)
    return replace(row, sources=(*records.get((row.table, row.key), ()), *below))


def records_of(snapshot: Snapshot, table: Table, keys: Sequence[str]) -> dict[SilverKey, tuple[Record, ...]]:
    """The records by key: the winner first, the others in order of delivery."""
    source = table.inputs[0].table
    rows = ask(snapshot, _search(snapshot, table, source, keys))
    by_key = {}
    for key, group in groupby(rows, key=lambda row: key_text(key_of(table, row))):
        of_key = list(group)
        winner = next(row for row in of_key if row["is_winner"])
        ordered = [winner, *(row for row in of_key if row is not winner)]
        contents = _contents(of_key, winner)
        by_key[table.name, key] = tuple(
            _record(source, row, outcome, row["reasons"] or _why_lost(table, row, outcome))
            for row in ordered
            for outcome in (_outcome(row, winner, contents),)
        )
    return by_key


def _search(snapshot: Snapshot, table: Table, source: Table, keys: Sequence[str]) -> str:
    """SQL for the bronze rows of these keys, by key and delivery, with `is_winner` and `reasons`."""
    assert isinstance(table.write, Upsert)
    (key,) = key_columns(table)
    literals = ", ".join(key_literal(key, *parse_key(table, text)) for text in keys)
    columns = {column.name: column for column in table.columns}
    identity = [columns[name] for name in table.write.identity]
    matches = " and ".join(_matches(column, i + 1) for i, column in enumerate(identity))
    owner = table.write.owner
    delivered = [*table.write.fields, *([owner[1]] if owner else [])]
    fields = ", ".join(text_literal(f"$.{name}") for name in delivered)
    is_owners = _agrees(columns[owner[0]], len(delivered)) if owner else "true"
    same = "r._delivery = k._delivery and r._source_line = k._source_line"
    return f"""
        with k as materialized (from {in_sql(table)} where {quoted(key.name)} in ({literals})),
        r as (select *, try(json_extract_string(raw, [{fields}])) as _fields from {in_sql(source)}),
        found as (
            select k.{quoted(key.name)}, r.* exclude _fields, {same} as is_winner, {is_owners} as is_owners
            from r join k on {matches}
            union
            select k.{quoted(key.name)}, r.* exclude _fields, true as is_winner, {is_owners} as is_owners
            from r join k on {same}
        )
        select found.*, q.reasons from found left join ({_quarantined(snapshot, table)}) q
        using (_delivery, _source_line) order by {quoted(key.name)}, _delivery, _source_line
    """


def _quarantined(snapshot: Snapshot, table: Table) -> str:
    """SQL for the rejected records of the table, from their quarantine."""
    for other in snapshot.tables.values():
        takes = any(isinstance(i, Rejects) and i.table is table for i in other.inputs)
        if takes and other.name in snapshot.versions:
            return f"select reasons, _delivery, _source_line from {in_sql(other)}"
    return NOT_IN_QUARANTINE


def _agrees(column: Column, position: int) -> str:
    """SQL: whether a delivered field reads as the value of a column; a missing field reads as NULL."""
    absent = f"(k.{quoted(column.name)} is null and nullif(trim(r._fields[{position}]), '') is null)"
    return f"coalesce({_matches(column, position)}, false) or {absent}"


def _matches(column: Column, position: int) -> str:
    """SQL: whether a delivered field reads as the value of a column, in any notation."""
    field, value = f"r._fields[{position}]", f"k.{quoted(column.name)}"
    if column.type == "string":
        return f"trim({field}) = {value}"
    number = f"epoch_ms({value})" if column.type == "timestamp" else value
    return f"try_cast({field} as double) = {number}::double"


def _record(table: Table, row: Row, outcome: str, reasons: Sequence[str]) -> Record:
    return Record(
        table=table.name,
        file=row["_source_file"],
        line=row["_source_line"],
        delivery=row["_delivery"],
        batch_id=row["_batch_id"],
        outcome=outcome,
        raw=row["raw"],
        reasons=tuple(reasons),
    )


def _contents(of_key: Sequence[Row], winner: Row) -> list[object]:
    """The JSON of records that certainly agree with the row: the winner, and the last delivered one.

    The last one agrees because it would have won otherwise. It is left out if it may repeat an earlier
    version of its file, because then it did not compete.
    """
    *before, last = [row for row in of_key if not row["reasons"]]
    text = (last["_source_file"], last["raw"])
    competed = all((row["_source_file"], row["raw"]) != text for row in before)
    return [json.loads(row["raw"]) for row in (winner, *([last] if competed else ()))]


def _why_lost(table: Table, row: Row, outcome: str) -> Sequence[str]:
    """The reason why a record lost to another owner's; as a rule that is no correction."""
    assert isinstance(table.write, Upsert)
    if outcome != SUPERSEDED or table.write.owner is None or row["is_owners"]:
        return ()
    return (f"of another {table.write.owner[0]}",)


def _outcome(row: Row, winner: Row, contents: Sequence[object]) -> str:
    if row["reasons"]:
        return QUARANTINED
    if row is winner:
        return WINNER
    return DUPLICATE if json.loads(row["raw"]) in contents else SUPERSEDED
