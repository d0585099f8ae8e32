"""Apply the current rules to the quarantined records.

A record that passes keeps its own delivery and line, so it loses to later records and wins over earlier ones,
as if the rule had been right from the start. For that, every record of its key is read again from bronze.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.delta.change_set import NOTHING, Changes
from runtime.ledger.facts import Facts, State
from runtime.ledger.history import added, redelivered
from runtime.run.batch import RunContext, carry_out, derive, state_after, summed
from runtime.run.steps import quarantine, silver
from runtime.run.steps.batch_context import BatchContext, rows_of
from runtime.table import Deliver, Merge, Table, Upsert, in_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KIND = "quarantine retry"


def retry(shared: RunContext, known: Facts, batch_bytes: int) -> State | None:
    """Judge all quarantined records again. Returns the state to publish, None when nothing changes."""
    begun = time.monotonic()
    collected = quarantine.collecting(shared.tables)
    size = _characters(shared, collected)
    parts = 1 + size // batch_bytes
    contexts = []
    for part in range(parts):
        context = BatchContext(
            shared.engine,
            shared.heads,
            known.next_batch_id,
            size // parts,
            late=frozenset(source_of(t) for t in judging(shared.tables)),
            redelivered=redelivered(known),
        )
        _judge(shared, context, collected, f"pmod(xxhash64(_delivery, _source_line), {parts}) = {part}")
        contexts.append(context)
        shared.heads.store.clear_scratch()
    total = BatchContext(shared.engine, shared.heads, known.next_batch_id)
    names = dict.fromkeys(name for context in contexts for name in context.changes)
    total.changes = {n: summed([b.changes.get(n, NOTHING) for b in contexts]) for n in names}
    if all(changes.is_empty for changes in total.changes.values()):
        return None
    return state_after(shared, total, known, kind=KIND, begun=begun)


def judging(tables: Mapping[str, Table]) -> list[Table]:
    """The tables whose rules send records to quarantine."""
    return [
        each.table for each in quarantine.collecting(tables).inputs if isinstance(each.table.write, Upsert)
    ]


def source_of(table: Table) -> str:
    """The source whose records a table judges."""
    delivered = table.inputs[0].table.write
    assert isinstance(delivered, Deliver)
    return delivered.source


def _characters(shared: RunContext, collected: Table) -> int:
    """The number of characters of all records in quarantine."""
    rows = shared.engine.read(shared.heads.store.uri(collected.name))
    (total,) = rows_of(rows.selectExpr("coalesce(sum(length(raw)), 0) as characters"))
    return int(total["characters"])


def _judge(shared: RunContext, context: BatchContext, collected: Table, part: str) -> None:
    """Take in the records that pass now, update gold, and leave the others in quarantine."""
    quarantined = context.keep(context.read(collected).where(part))
    for table in judging(shared.tables):
        arrived = quarantined.where(f"source = '{source_of(table)}'")
        carry_out(shared, context, table, lambda t=table, a=arrived: _again(context, t, a))  # type: ignore[misc]
    carry_out(shared, context, collected, lambda: quarantine.replace_rows(context, collected, quarantined))
    for table in in_order(shared.tables):
        if isinstance(table.write, Merge):
            carry_out(shared, context, table, lambda t=table: derive(context, t))  # type: ignore[misc]


def _again(context: BatchContext, table: Table, arrived: DataFrame) -> Changes:
    """Upsert the records. They count as moved out of quarantine, because they were delivered before."""
    changes = silver.upsert(context, table, arrived)
    passed = sum(changes.records[name] for name in ("accepted", "duplicate", "superseded"))
    records = {**changes.records, "delivered": 0, "quarantined": -passed}
    before = silver.reasons_of(arrived.selectExpr("reasons as _reasons"))
    reasons = added([changes.reasons, {name: -n for name, n in before.items()}])
    return replace(changes, records=records, reasons={name: n for name, n in reasons.items() if n})
