"""Silver: parse, type, clean, validate and deduplicate the batch's records, and return the rejected ones.

Precedence among records of one key is (_delivery, _source_line), never the batch. Usually a batch has only
higher precedences, so its rows are compared with the table and no other rows are read. If it has a delivery
older than one in the lake, every record of its keys is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from runtime.delta.change_set import NOTHING, Changes
from runtime.errors import LakehouseError
from runtime.run.steps.batch_context import (
    CHANGE,
    OLD,
    BatchContext,
    Bounds,
    bounds_of,
    differs,
    old_rows,
    rows_of,
    with_old,
)
from runtime.table import Table, Upsert

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The only reason for a record that is no JSON object: no other rule applies to it.
READABLE = "record_is_json_object"
PRECEDENCE = "_delivery * 4294967296 + _source_line"
STORED = f"{OLD}_delivery * 4294967296 + {OLD}_source_line"
MADE_OF = f"_delivery = {OLD}_delivery and _source_line = {OLD}_source_line"
VALID = "_reasons is null"
COMPETES = f"{VALID} and not _is_repeat"


def upsert(context: BatchContext, table: Table, arrived: DataFrame | None) -> Changes:
    """Take in new records of the table's input."""
    if arrived is None:
        return NOTHING
    staged = stage(context, table, arrived)
    groups = _groups(table, staged)
    bounds = bounds_of(table, (g for g in groups if g["valid"]))
    merged = _take(context, table, staged, groups, bounds)
    reasons = reasons_of(staged) if _total(groups, "rejected") else {}
    records = _records(context, table, staged, groups, merged, bounds)
    return Changes(
        after=merged.after,
        before=merged.before,
        inserted=merged.inserted,
        updated=merged.updated,
        rejects=_rejects(staged, arrived) if reasons else None,
        reasons=reasons,
        records=records,
        lost=(*merged.lost, *(_lost(context, table, staged, bounds) if records["superseded"] else ())),
    )


def stage(context: BatchContext, table: Table, records: DataFrame) -> DataFrame:
    """Records as typed rows, stored by `keep`, with `_reasons` (NULL if none), `_is_repeat`, `_precedence`.

    The projection that parses also checks all rules, and later steps read the stored rows: an engine that
    merges projections would parse each record once per rule.
    """
    checks = ", ".join(
        f"case when not coalesce({predicate}, false) then '{name}' end"
        for name, predicate in table.expectations.items()
    )
    judged = table.build(records).selectExpr(
        *table.content,
        "_source_file",
        "_source_line",
        "_delivery",
        f"array_compact(array(case when record is null then '{READABLE}' end, {checks})) as _failed",
    )
    return _marked(context, table, context.keep(judged)).selectExpr(
        *table.content,
        f"case when array_contains(_failed, '{READABLE}') then array('{READABLE}') "
        "when size(_failed) > 0 then _failed end as _reasons",
        "_is_repeat",
        f"{PRECEDENCE} as _precedence",
        "_source_file",
        "_source_line",
        "_delivery",
        f"cast({context.batch_id} as bigint) as _batch_id",
    )


def _marked(context: BatchContext, table: Table, rows: DataFrame) -> DataFrame:
    """Add `_is_repeat`: the previous delivery of the same file has a record with the same text.

    So an unchanged record keeps the precedence of the delivery that first had it, and a record that was
    changed and comes back has the precedence of the delivery with which it comes back.
    """
    source = table.inputs[0].table
    groups = context.redelivered.get(source.name.partition(".")[2])
    if not groups:
        return rows.selectExpr("*", "false as _is_repeat")
    versions = [pair for group in groups for pair in pairwise(group)]
    files = context.engine.spark.createDataFrame(versions, "_before bigint, _delivery bigint")
    records = context.read(source).select("raw", "_delivery", "_source_line")
    texts = records.selectExpr("raw", "_delivery as _before")
    before = texts.join(files.select("_before"), "_before", "left_semi")
    repeats = (
        records.join(files, "_delivery")
        .join(before, ["_before", "raw"], "left_semi")
        .selectExpr("_delivery", "_source_line", "true as _again")
    )
    return rows.join(repeats, ["_delivery", "_source_line"], "left").selectExpr(
        "*", "coalesce(_again, false) as _is_repeat"
    )


def _groups(table: Table, staged: DataFrame) -> list[dict[str, Any]]:
    """Counts by partition value: records, rejected, valid, competing rows and their keys."""
    from pyspark.sql.functions import expr

    key = ", ".join(f"case when {COMPETES} then {k} end" for k in _upsert(table).key)
    counts = (
        "count(*) as records",
        f"count(case when not ({VALID}) then 1 end) as rejected",
        f"count(case when {VALID} then 1 end) as valid",
        f"count(case when {COMPETES} then 1 end) as rows",
        f"count(distinct {key}) as keys",
    )
    return rows_of(staged.groupBy(*table.partition_by).agg(*(expr(count) for count in counts)))


def _rejects(staged: DataFrame, arrived: DataFrame) -> DataFrame:
    """The rejected records with their raw text."""
    rejected = staged.where("_reasons is not null").select("_reasons", "_delivery", "_source_line")
    raw = arrived.select("raw", "_source_file", "_source_line", "_delivery")
    return raw.join(rejected, ["_delivery", "_source_line"])


def reasons_of(staged: DataFrame) -> dict[str, int]:
    """The number of records by reason."""
    counted = staged.selectExpr("explode(_reasons) as reason").groupBy("reason").count()
    return {r["reason"]: r["count"] for r in rows_of(counted)}


def _take(
    context: BatchContext,
    table: Table,
    staged: DataFrame,
    groups: list[dict[str, Any]],
    bounds: Bounds,
) -> Changes:
    """Write the winning record of each key where it differs from the table's row."""
    rows, keys = _total(groups, "rows"), _total(groups, "keys")
    if rows == 0:
        return NOTHING
    late = _is_late(context, table)
    competing = _all_records(context, table, staged) if late else staged.where(COMPETES)
    if late or keys < rows:
        _require_one_identity(table, competing)
        competing = _winners(table, competing)
    if context.heads.is_empty(table.name, bounds):
        inserted = context.append(table, competing)["inserted"]
        return Changes(after=competing, inserted=inserted)
    return _merge(context, table, competing, bounds, newer=not late)


def _all_records(context: BatchContext, table: Table, staged: DataFrame) -> DataFrame:
    """Every competing record ever delivered for the keys of this batch."""
    source = table.inputs[0].table
    keys = staged.where(COMPETES).select(*_upsert(table).key).distinct()
    everything = stage(context, table, context.read(source)).where(COMPETES)
    return context.keep(everything.join(keys, list(keys.columns), "left_semi"))


def _winners(table: Table, rows: DataFrame) -> DataFrame:
    """The row of highest precedence of each key. Groups narrow rows: wide ones are slow to sort."""
    key = list(_upsert(table).key)
    best = rows.groupBy(*key).agg({"_precedence": "max"})
    best = best.withColumnRenamed("max(_precedence)", "_precedence")
    return rows.join(best, [*key, "_precedence"], "left_semi")


def _merge(
    context: BatchContext, table: Table, winners: DataFrame, bounds: Bounds, *, newer: bool
) -> Changes:
    write = _upsert(table)
    pairs = with_old(winners, context.read(table, bounds), table, write.key, "left")
    wins = f"{PRECEDENCE} > {STORED}" if newer else "true"
    changed = context.keep(
        pairs.selectExpr(
            "*",
            f"case when {OLD}{write.key[0]} is null then 'insert' "
            f"when {differs(write.identity)} then 'collision' "
            f"when {differs(table.content)} and {wins} then 'update' end as {CHANGE}",
        ).where(f"{CHANGE} is not null")
    )
    kinds = {r[CHANGE]: r["count"] for r in rows_of(changed.groupBy(CHANGE).count())}
    if kinds.get("collision"):
        raise _collision(table)
    if not kinds:
        return NOTHING
    if "update" not in kinds:
        counts = context.append(table, changed)
        return Changes(after=changed, inserted=counts["inserted"])
    guard = "and s._precedence > t._delivery * 4294967296 + t._source_line" if newer else ""
    counts = context.merge(table, write.key, changed, bounds, guard)
    updated = changed.where(f"{CHANGE} = 'update'")
    before = old_rows(updated, table.content)
    lost = _told(table, updated, loser=OLD, winner="")
    return Changes(changed, before, counts["inserted"], counts["updated"], lost=lost)


def _records(
    context: BatchContext,
    table: Table,
    staged: DataFrame,
    groups: list[dict[str, Any]],
    merged: Changes,
    bounds: Bounds,
) -> Mapping[str, int]:
    """Counts of records by outcome: delivered = accepted + duplicate + superseded + quarantined.

    An accepted record is the source of a current row. A late batch may also write rows from earlier records,
    so the number of rows written is not the number accepted.
    """
    valid = _total(groups, "valid")
    accepted = same = valid
    if valid and (_is_late(context, table) or merged.inserted + merged.updated < valid):
        pairs = with_old(staged.where(VALID), context.read(table, bounds), table, _upsert(table).key, "inner")
        accepted, same = _counted(pairs, MADE_OF, f"not {differs(table.content)}")
    return {
        "delivered": _total(groups, "records"),
        "accepted": accepted,
        "duplicate": same - accepted,
        "superseded": valid - same,
        "quarantined": _total(groups, "rejected"),
    }


def _lost(context: BatchContext, table: Table, staged: DataFrame, bounds: Bounds) -> list[str]:
    """Messages about new records that lost to a record of another owner."""
    if _upsert(table).owner is None:
        return []
    rows = with_old(staged.where(VALID), context.read(table, bounds), table, _upsert(table).key, "inner")
    return _told(table, rows, loser="", winner=OLD)


def _told(table: Table, rows: DataFrame, *, loser: str, winner: str) -> list[str]:
    """One message for each pair of records with different owners: the loser and its winner."""
    owner = _upsert(table).owner
    if owner is None:
        return []
    name, _ = owner
    one, other = (
        f"concat({side}_source_file, ' line ', {side}_source_line, ' ({name} ', "
        f"coalesce(cast({side}{name} as string), 'NULL'), ')')"
        for side in (loser, winner)
    )
    lost = rows.where(f"not ({name} <=> {OLD}{name})")
    return sorted(row["lost"] for row in rows_of(lost.selectExpr(f"concat({one}, ' to ', {other}) as lost")))


def _counted(rows: DataFrame, *predicates: str) -> list[int]:
    """The number of rows that satisfy each predicate."""
    from pyspark.sql.functions import expr

    totals = [f"count(case when {p} then 1 end) as n{n}" for n, p in enumerate(predicates)]
    (counts,) = rows_of(rows.agg(*map(expr, totals)))
    return list(counts.values())


def _require_one_identity(table: Table, rows: DataFrame) -> None:
    """Raise LakehouseError if two identities among these rows have the same key."""
    write = _upsert(table)
    if write.key == write.identity:
        return
    unequal = " or ".join(f"min({c}) <> max({c})" for c in write.identity)
    rows.createOrReplaceTempView("competing")
    keys = ", ".join(write.key)
    repeated = rows.sparkSession.sql(f"select {keys} from competing group by {keys} having {unequal} limit 1")
    if rows_of(repeated):
        raise _collision(table)


def _collision(table: Table) -> LakehouseError:
    write = _upsert(table)
    return LakehouseError(
        f"{table.name}: two different ({', '.join(write.identity)}) have the same "
        f"{', '.join(write.key)}, so one row would hide the other. Nothing was published. "
        "This is a collision of the hash: it needs a wider key in the code."
    )


def _is_late(context: BatchContext, table: Table) -> bool:
    """Whether the batch has a delivery older than one in the lake."""
    return table.inputs[0].table.name.partition(".")[2] in context.late


def _upsert(table: Table) -> Upsert:
    assert isinstance(table.write, Upsert)
    return table.write


def _total(groups: list[dict[str, Any]], name: str) -> int:
    return sum(group[name] for group in groups)
