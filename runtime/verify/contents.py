"""Check the stored rows against each other, and against the counts in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.ledger.facts import Facts
from runtime.ledger.history import reasons, records, taken_in
from runtime.read.keys import key_columns, key_text
from runtime.run.steps.quarantine import collecting
from runtime.table import Collect, Deliver, Table, Upsert
from runtime.verify.reading import Rows, Stored, repeated, without_partner
from runtime.verify.verdict import Check, judged

if TYPE_CHECKING:
    import duckdb

REBUILD = "Rebuild silver and gold with: python lakehouse.py run --full-refresh"
RECORD = ("_delivery", "_source_line", "_source_file")
BACKUP = "Put the table back from a backup, or go back with: python lakehouse.py restore --batch N"


def check_keys(connection: duckdb.DuckDBPyConnection, stored: Stored) -> Check:
    """No two rows have the same key."""
    columns = [c.name for c in key_columns(stored.table)]
    wrong = (
        f"{', '.join(columns)} = {key_text(tuple(values))} is in {n:,} rows"
        for *values, n in repeated(connection, stored.all, columns)
    )
    is_bronze = isinstance(stored.table.write, Deliver)
    fine = f"{', '.join(columns)} is unique in {stored.rows:,} rows"
    return judged("keys", stored.table.name, wrong, fine=fine, fix=BACKUP if is_bronze else REBUILD)


def check_references(
    connection: duckdb.DuckDBPyConnection, stored: Stored, others: Mapping[str, Stored]
) -> Iterator[Check]:
    """Every referenced row exists; NULL refers to none."""
    for column, name in stored.table.references.items():
        if name in others:
            theirs = [c.name for c in key_columns(others[name].table)]
            lone = without_partner(connection, stored.all, [column], others[name].all, theirs)
            wrong = (f"{column} = {key_text((value,))}, in {n:,} rows, is not in {name}" for value, n in lone)
            fine = f"every {column} is in {name}"
            yield judged("references", stored.table.name, wrong, fine=fine, fix=REBUILD)


def check_records(
    connection: duckdb.DuckDBPyConnection, stored: Stored, others: Mapping[str, Stored]
) -> Iterator[Check]:
    """Every row of silver names the record it comes from, and bronze holds that record."""
    names = _delivered(stored.table)
    if not names or any(name not in others for name in names):
        return
    columns = ", ".join(RECORD)
    delivered = Rows(
        " union all ".join(f"select {columns} from ({others[n].all.select})" for n in names),
        sum(others[n].rows for n in names),
    )
    wrong = (
        f"{n:,} rows say they come from {file}:{line}, delivery {delivery}, which bronze does not hold"
        for delivery, line, file, n in without_partner(connection, stored.all, RECORD, delivered, RECORD)
    )
    fine = f"every row comes from a record of {' and '.join(names)}"
    yield judged("records", stored.table.name, wrong, fine=fine, fix=REBUILD)


def check_counts(
    connection: duckdb.DuckDBPyConnection, known: Facts, others: Mapping[str, Stored]
) -> Iterator[Check]:
    """The tables hold what the batches counted."""
    tables = {name: stored.table for name, stored in others.items()}
    for name, stored in others.items():
        if isinstance(stored.table.write, Deliver):
            wrong = _delivered_otherwise(connection, known, stored)
            fine = "every batch has the records it delivered"
            yield judged("counts", name, wrong, fine=fine, fix=BACKUP)
    judging = [table for table in tables.values() if isinstance(table.write, Upsert)]
    quarantine = collecting(tables) if any(isinstance(t.write, Collect) for t in tables.values()) else None
    if quarantine is not None and all(i.table.name in others for t in judging for i in t.inputs):
        wrong = _counted_otherwise(connection, known, judging, others, quarantine)
        fine = "delivered = accepted + duplicate + superseded + quarantined; reasons as counted"
        yield judged("counts", quarantine.name, wrong, fine=fine, fix=REBUILD)


def _delivered_otherwise(
    connection: duckdb.DuckDBPyConnection, known: Facts, stored: Stored
) -> Iterator[str]:
    """Batches whose bronze rows are not those they inserted; deliveries that the ledger lacks."""
    name = stored.table.name
    by_batch = f"select _batch_id, count(*) from ({stored.all.select}) group by all"
    actual = dict(connection.execute(by_batch).fetchall())
    published = {s.batch_id: s.tables[name]["inserted"] for s in known.chain if name in s.tables}
    lost = {int(d) for state in known.chain for d in state.missing}
    partly = {state.batch_id for state in known.chain if lost & taken_in(state)}
    for batch in sorted({*actual, *published} - partly):
        if (expected := published.get(batch, 0)) != (rows := actual.get(batch, 0)):
            yield f"batch {batch} delivered {expected:,} records, {rows:,} are there"
    deliveries = f"select distinct _delivery from ({stored.all.select}) order by all"
    for (delivery,) in connection.execute(deliveries).fetchall():
        if delivery not in known.ingested and delivery not in known.partial:
            yield f"records of delivery {delivery} are there, which no batch took in"


def _counted_otherwise(
    connection: duckdb.DuckDBPyConnection,
    known: Facts,
    judging: Sequence[Table],
    others: Mapping[str, Stored],
    quarantine: Table,
) -> Iterator[str]:
    """Where the counts since the last rebuild differ from the rows of bronze and quarantine."""
    counted = records(known)
    bronze = sum(others[t.inputs[0].table.name].rows for t in judging)
    if counted.get("delivered", 0) != bronze:
        yield f"the batches delivered {counted.get('delivered', 0):,} records, bronze holds {bronze:,}"
    rejects = others[quarantine.name]
    if counted.get("quarantined", 0) != rejects.rows:
        yield f"the batches quarantined {counted.get('quarantined', 0):,} records, {rejects.rows:,} are there"
    each = f"select unnest(reasons) as reason from ({rejects.all.select})"
    by_reason = f"select reason, count(*) from ({each}) group by all"
    actual, expected = dict(connection.execute(by_reason).fetchall()), reasons(known)
    for reason in sorted({*actual, *expected}):
        if (n := expected.get(reason, 0)) != (rows := actual.get(reason, 0)):
            yield f"{n:,} records counted for {reason}, {rows:,} are there"


def _delivered(table: Table) -> list[str]:
    """The bronze tables whose records a silver table holds."""
    if isinstance(table.write, Upsert):
        return [table.inputs[0].table.name]
    if isinstance(table.write, Collect):
        return [i.table.inputs[0].table.name for i in table.inputs]
    return []
