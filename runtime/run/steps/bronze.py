"""Bronze: append the records of the batch's files unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runtime.delta.change_set import NOTHING, Changes
from runtime.run.steps.batch_context import BatchContext
from runtime.sources.slicing import Slice, pack
from runtime.table import Table


def deliver(context: BatchContext, table: Table, slices: Sequence[Slice], ingested_at: datetime) -> Changes:
    """Append the records of the slices with one read and one commit."""
    if not slices:
        return NOTHING
    from runtime.sources.datasource import read_here, read_in_parallel

    engine, access = context.engine, context.store.access
    renames = context.renames.get(table.name.partition(".")[2], {})
    if sum(piece.size for piece in slices) <= engine.reads_here:
        delivered = read_here(engine.spark, slices, renames, access)
    else:
        delivered = read_in_parallel(engine.spark, pack(slices, engine.partitions), renames, access)
    rows = table.build(delivered).selectExpr(
        "*",
        f"cast({context.batch_id} as bigint) as _batch_id",
        f"timestamp'{ingested_at:%Y-%m-%d %H:%M:%S.%f}' as _ingested_at",
    )
    counts = context.append(table, rows)
    arrived = context.read(table).where(f"_batch_id = {context.batch_id}")
    return Changes(after=arrived, inserted=counts["inserted"])
