"""Gold: MERGE what a batch touched, so that the tables are what a rebuild would give.

The first input drives a table. Its change set names the touched keys; rows that only arrived are built
from themselves, and only keys hit by a correction are built again from the whole input.
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
    """Build an empty table from the whole of its inputs."""
    return append(context, table, table.build(*(context.read(i.table) for i in table.inputs)))


def append(context: BatchContext, table: Table, rows: DataFrame) -> Changes:
    """Add rows whose keys the table does not have; they may turn out to be none."""
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
        # The keys are new to the input, so they are new here: nothing to compare with.
        return append(context, table, table.build(changes.after, *others))
    touched = [f for f in (changes.after, rejoined) if f is not None]
    rows = table.build(_union(touched, driver.table), *others).distinct()
    return write(context, table, rows, _renamed(table, driver.key, [changes.before, rejoined]))


def _rejoined(context: BatchContext, driver: Rows, lookups: Sequence[Lookup]) -> DataFrame | None:
    """Driving rows that match a changed row of a lookup, now or before."""
    from pyspark.sql.functions import expr

    found = []
    for lookup in lookups:
        changes = context.changes.get(lookup.table.name, NOTHING)
        sides = [f for f in (changes.after, changes.before) if f is not None]
        if sides:
            named = [f"{theirs} as _key{n}" for n, (_, theirs) in enumerate(lookup.compared)]
            keys = reduce(lambda a, b: a.union(b), (s.selectExpr(*named) for s in sides)).distinct()
            same = " and ".join(f"{ours} = _key{n}" for n, (ours, _) in enumerate(lookup.compared))
            found.append(context.read(driver.table).join(keys, expr(same), "left_semi"))
    kept = [context.keep(rows) for rows in found]
    return _union(kept, driver.table) if any(rows.count() for rows in kept) else None


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
    """New keys are inserted; a newer row that says something else is checked against the input.

    The check is needed because a row that says nothing new is not written, so the stored order columns
    may lag behind the newest input row.
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
    """Rows built from what arrived: new keys ('insert'), or newer than ours and different ('check')."""
    write = _strategy(table)
    since = driver.since[1] if driver.since else "cast(null as date)"
    rows = table.build(arrived)
    beside = with_old(rows, context.read(table, _bounds(table, rows)), table, write.key, "left")
    content = [c for c in table.content if c not in write.key]
    return beside.selectExpr(
        "*",
        f"{since} as _since",
        f"case when {OLD}{write.key[0]} is null then 'insert' "
        f"when {_is_newer(write.newest_by)} and {differs(content)} then 'check' end as {CHANGE}",
    ).where(f"{CHANGE} is not null")


def _is_newer(order: Sequence[str]) -> str:
    """Whether a row's order columns are above the old row's, most significant first."""
    return _compared(">", order)


def _is_lower(order: Sequence[str]) -> str:
    """Whether they are below: the row that set the old ones was corrected away."""
    return _compared("<", order)


def _compared(how: str, order: Sequence[str]) -> str:
    if not order:
        return "false"
    first, rest = order[0], order[1:]
    return f"({first} {how} {OLD}{first} or ({first} = {OLD}{first} and {_compared(how, rest)}))"


def _again(
    context: BatchContext, table: Table, driver: Fold, keys: DataFrame, since: str | None = None
) -> DataFrame:
    """These keys built from the whole input, or from the part of it that can matter."""
    names = zip(_strategy(table).key, driver.key, strict=True)
    wanted = keys.selectExpr(*(f"{ours} as {theirs}" for ours, theirs in names)).distinct()
    rows = context.read(driver.table)
    rows = rows.where(since) if since else rows
    return table.build(rows.join(wanted, list(driver.key), "left_semi"))


def write(context: BatchContext, table: Table, rows: DataFrame, gone: DataFrame | None) -> Changes:
    """MERGE rows where they differ from the table's, and delete the `gone` keys that made no row."""
    key = list(_strategy(table).key)
    current = context.read(table, _bounds(table, rows) if gone is None else None)
    beside = with_old(rows, current, table, key, "left").selectExpr(
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
        beside = beside.unionByName(deleted)
    return _apply(context, table, context.keep(beside.where(f"{CHANGE} is not null")))


def _apply(context: BatchContext, table: Table, changed: DataFrame) -> Changes:
    """Carry kept changes out; none is no commit."""
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
    """The partition values of rows: they follow from the key, so no other partition can hold it."""
    if not table.partition_by:
        return {}
    return bounds_of(table, rows_of(rows.select(*table.partition_by).distinct()))


def _renamed(table: Table, theirs: Sequence[str], frames: Sequence[DataFrame | None]) -> DataFrame | None:
    """The key columns of input rows under our names; None when there are no rows."""
    names = [f"{t} as {o}" for t, o in zip(theirs, _strategy(table).key, strict=True)]
    found = [f.selectExpr(*names) for f in frames if f is not None]
    return reduce(lambda a, b: a.union(b), found).distinct() if found else None


def _union(frames: Sequence[DataFrame], table: Table) -> DataFrame:
    """Rows of one table from several frames, once each."""
    parts = [f.select(*table.content) for f in frames]
    return parts[0] if len(parts) == 1 else reduce(lambda a, b: a.unionByName(b), parts)


def _strategy(table: Table) -> Merge:
    assert isinstance(table.write, Merge)
    return table.write
