"""Gold: MERGE the keys of a batch, so that each table equals a rebuild.

The change set of a table's first input, its driver, gives the keys to update. New rows are built from the
batch alone; only the keys of a correction are built again from the whole input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from runtime.delta.change_set import NOTHING, Changes
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
from runtime.table import Fold, Lookup, Merge, Rows, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def merge(context: BatchContext, table: Table) -> Changes:
    """Bring a gold table up to date with the change sets of its inputs."""
    driver = table.inputs[0]
    if isinstance(driver, Rows):
        return _merge_rows(context, table, driver)
    assert isinstance(driver, Fold)
    return _merge_fold(context, table, driver)


def fill(context: BatchContext, table: Table) -> Changes:
    """Fill an empty table from all rows of its inputs."""
    return append(context, table, table.build(*(context.read(i.table) for i in table.inputs)))


def append(context: BatchContext, table: Table, rows: DataFrame) -> Changes:
    """Append rows, maybe none, whose keys the table does not have."""
    inserted = context.append(table, rows)["inserted"]
    return Changes(after=rows, inserted=inserted) if inserted else NOTHING


def _merge_rows(context: BatchContext, table: Table, driver: Rows) -> Changes:
    changes = context.changes.get(driver.table.name, NOTHING)
    lookups = [i for i in table.inputs[1:] if isinstance(i, Lookup)]
    others = [context.read(i.table) for i in lookups]
    rejoined = None if context.heads.is_empty(table.name) else _rejoined(context, driver, lookups)
    if rejoined is None and changes.before is None:
        if changes.after is None:
            return NOTHING
        # Keys that are new to the input are new to this table: there are no rows to compare.
        return append(context, table, table.build(changes.after, *others))
    touched = [f for f in (changes.after, rejoined) if f is not None]
    rows = table.build(_union(touched, driver.table), *others).distinct()
    return write(context, table, rows, _renamed(table, driver.key, [changes.before, rejoined]))


def _rejoined(context: BatchContext, driver: Rows, lookups: Sequence[Lookup]) -> DataFrame | None:
    """Rows of the driver that match a changed row of a lookup, as it is now or as it was before."""
    from pyspark.sql.functions import expr

    frames = []
    for lookup in lookups:
        changes = context.changes.get(lookup.table.name, NOTHING)
        sides = [f for f in (changes.after, changes.before) if f is not None]
        if sides:
            named = [f"{theirs} as _key{n}" for n, (_, theirs) in enumerate(lookup.compared)]
            keys = reduce(lambda a, b: a.union(b), (s.selectExpr(*named) for s in sides)).distinct()
            same = " and ".join(f"{ours} = _key{n}" for n, (ours, _) in enumerate(lookup.compared))
            frames.append(context.read(driver.table).join(keys, expr(same), "left_semi"))
    stored = [context.keep(rows) for rows in frames]
    return _union(stored, driver.table) if any(rows.count() for rows in stored) else None


def _merge_fold(context: BatchContext, table: Table, driver: Fold) -> Changes:
    changes = context.changes.get(driver.table.name, NOTHING)
    if changes.after is None and changes.before is None:
        return NOTHING
    if changes.before is None and context.heads.is_empty(table.name):
        return append(context, table, table.build(changes.after))
    gone = _renamed(table, driver.key, [changes.before])
    if driver.whole:
        touched = _renamed(table, driver.key, [changes.after, changes.before])
        assert touched is not None
        return write(context, table, _again(context, table, driver, touched), gone)
    return _merge_newest(context, table, driver, changes, gone)


def _merge_newest(
    context: BatchContext, table: Table, driver: Fold, changes: Changes, gone: DataFrame | None
) -> Changes:
    """Insert new keys, and build keys with a newer and different row again from the input.

    The table's own row cannot decide: rows without new content are not written, so its order columns may
    be older than those of the newest input row.
    """
    key = list(_strategy(table).key)
    contenders, kinds = None, {}
    if changes.after is not None:
        contenders = context.keep(_contenders(context, table, driver, changes.after))
        counted = contenders.groupBy(CHANGE).agg({"_since": "min"})
        kinds = {r[CHANGE]: r["min(_since)"] for r in rows_of(counted)}
    if gone is None and "check" not in kinds:
        return NOTHING if contenders is None or not kinds else _apply(context, table, contenders)
    if gone is None and contenders is not None:
        since = f"{driver.since[0]} >= date'{min(kinds.values())}'" if driver.since else None
        again = _again(context, table, driver, contenders.select(*key), since)
        return write(context, table, again, None)
    touched = [f.select(*key) for f in (contenders, gone) if f is not None]
    keys = reduce(lambda a, b: a.union(b), touched).distinct()
    return write(context, table, _again(context, table, driver, keys), gone)


def _contenders(context: BatchContext, table: Table, driver: Fold, arrived: DataFrame) -> DataFrame:
    """Rows built from new input rows: new keys ('insert'), newer and different rows ('check')."""
    write = _strategy(table)
    since = driver.since[1] if driver.since else "cast(null as date)"
    rows = table.build(arrived)
    pairs = with_old(rows, context.read(table, _bounds(table, rows)), table, write.key, "left")
    content = [c for c in table.content if c not in write.key]
    return pairs.selectExpr(
        "*",
        f"{since} as _since",
        f"case when {OLD}{write.key[0]} is null then 'insert' "
        f"when {_is_newer(write.newest_by)} and {differs(content)} then 'check' end as {CHANGE}",
    ).where(f"{CHANGE} is not null")


def _is_newer(order: Sequence[str]) -> str:
    """SQL: whether a row's order columns, most significant first, are greater than the old row's."""
    return _compared(">", order)


def _is_lower(order: Sequence[str]) -> str:
    """SQL: whether they are less: a correction removed the input row behind the old ones."""
    return _compared("<", order)


def _compared(how: str, order: Sequence[str]) -> str:
    if not order:
        return "false"
    first, rest = order[0], order[1:]
    return f"({first} {how} {OLD}{first} or ({first} = {OLD}{first} and {_compared(how, rest)}))"


def _again(
    context: BatchContext, table: Table, driver: Fold, keys: DataFrame, since: str | None = None
) -> DataFrame:
    """The rows of these keys, built from the whole input or from its rows that satisfy `since`."""
    names = zip(_strategy(table).key, driver.key, strict=True)
    driver_keys = keys.selectExpr(*(f"{ours} as {theirs}" for ours, theirs in names)).distinct()
    rows = context.read(driver.table)
    rows = rows.where(since) if since else rows
    return table.build(rows.join(driver_keys, list(driver.key), "left_semi"))


def write(context: BatchContext, table: Table, rows: DataFrame, gone: DataFrame | None) -> Changes:
    """MERGE rows that differ from the table's, and delete the `gone` keys that have no row any more."""
    key = list(_strategy(table).key)
    current = context.read(table, _bounds(table, rows) if gone is None else None)
    changed = with_old(rows, current, table, key, "left").selectExpr(
        *table.column_names,
        *(f"{OLD}{c}" for c in table.column_names),
        f"case when {OLD}{key[0]} is null then 'insert' "
        f"when {differs(table.content)} or {_is_lower(_strategy(table).newest_by)} then 'update' end"
        f" as {CHANGE}",
    )
    if gone is not None:
        missing = gone.select(*key).distinct().join(rows.select(*key), key, "left_anti")
        deleted = current.join(missing, key, "left_semi").selectExpr(
            *table.column_names,
            *(f"{c} as {OLD}{c}" for c in table.column_names),
            f"'delete' as {CHANGE}",
        )
        changed = changed.unionByName(deleted)
    return _apply(context, table, context.keep(changed.where(f"{CHANGE} is not null")))


def _apply(context: BatchContext, table: Table, changed: DataFrame) -> Changes:
    """Write the changes; without any, commit nothing."""
    groups = rows_of(changed.groupBy(CHANGE, *table.partition_by).count())
    kinds = {group[CHANGE] for group in groups}
    if not kinds:
        return NOTHING
    if kinds == {"insert"}:  # compared with the table above, under the lease: nothing to match
        return append(context, table, changed)
    counts = context.merge(table, _strategy(table).key, changed, bounds_of(table, groups))
    after = changed.where(f"{CHANGE} <> 'delete'") if kinds - {"delete"} else None
    before = old_rows(changed.where(f"{CHANGE} <> 'insert'"), table.column_names)
    return Changes(
        after, before if kinds - {"insert"} else None,
        counts["inserted"], counts["updated"], counts["deleted"],
    )  # fmt: skip


def _bounds(table: Table, rows: DataFrame) -> Bounds:
    """The partition values of rows. They follow from the key, so no other partition holds these keys."""
    if not table.partition_by:
        return {}
    return bounds_of(table, rows_of(rows.select(*table.partition_by).distinct()))


def _renamed(table: Table, theirs: Sequence[str], frames: Sequence[DataFrame | None]) -> DataFrame | None:
    """The key columns of input rows, renamed to this table's; None without frames."""
    names = [f"{t} as {o}" for t, o in zip(theirs, _strategy(table).key, strict=True)]
    keys = [f.selectExpr(*names) for f in frames if f is not None]
    return reduce(lambda a, b: a.union(b), keys).distinct() if keys else None


def _union(frames: Sequence[DataFrame], table: Table) -> DataFrame:
    parts = [f.select(*table.content) for f in frames]
    return parts[0] if len(parts) == 1 else reduce(lambda a, b: a.unionByName(b), parts)


def _strategy(table: Table) -> Merge:
    assert isinstance(table.write, Merge)
    return table.write
