"""Quarantine: append rejected records; after a retry keep only those that are still rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.delta.change_set import NOTHING, Changes
from runtime.run.steps.batch_context import CHANGE, OLD, BatchContext, rows_of, with_old
from runtime.table import Collect, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = ("_delivery", "_source_line")


def collecting(tables: Mapping[str, Table]) -> Table:
    """The table of rejected records."""
    return next(t for t in tables.values() if isinstance(t.write, Collect))


def collect(context: BatchContext, table: Table) -> Changes:
    """Append the rejected records of the table's inputs."""
    rows = _rejected(context, table)
    if rows is None:
        return NOTHING
    # `keep` first: a union has more partitions than there are tasks to write it, see `Sail.spread`.
    return Changes(inserted=context.append(table, context.keep(rows))["inserted"])


def replace_rows(context: BatchContext, table: Table, held: DataFrame) -> Changes:
    """Keep the rows of `held` that are rejected again, with their new reasons; delete the others."""
    rejected = _rejected(context, table)
    if rejected is None:
        changed = held.selectExpr(*table.column_names, f"'delete' as {CHANGE}")
    else:
        changed = _changes(table, with_old(held, rejected, table, KEY, "left"))
    changed = context.keep(changed.where(f"{CHANGE} is not null"))
    if not rows_of(changed.selectExpr("1 as one").limit(1)):
        return NOTHING
    counts = context.merge(table, KEY, changed, {})
    return Changes(updated=counts["updated"], deleted=counts["deleted"])


def _changes(table: Table, pairs: DataFrame) -> DataFrame:
    """The changes to rows in quarantine that are joined with their new rejection, as `_old_…`."""
    now = {"reasons": f"coalesce({OLD}reasons, reasons)", "_batch_id": f"coalesce({OLD}_batch_id, _batch_id)"}
    # Compared as text: Sail cannot compare arrays.
    same = f"array_join(reasons, ',') = array_join({OLD}reasons, ',')"
    return pairs.selectExpr(
        *(f"{now.get(c, c)} as {c}" for c in table.column_names),
        f"case when {OLD}{KEY[0]} is null then 'delete' when not ({same}) then 'update' end as {CHANGE}",
    )


def _rejected(context: BatchContext, table: Table) -> DataFrame | None:
    """Quarantine rows of the inputs' rejected records; None without any."""
    rejects = [context.changes.get(i.table.name, NOTHING).rejects for i in table.inputs]
    some = next((frame for frame in rejects if frame is not None), None)
    if some is None:
        return None
    columns = ("raw", "_reasons", "_source_file", "_source_line", "_delivery")
    frames = [(some.where("false") if f is None else f).select(*columns) for f in rejects]
    return table.build(*frames).selectExpr("*", f"cast({context.batch_id} as bigint) as _batch_id")
