"""SCD type 2 tables: a batch rewrites only the affected keys, from the first affected instant on.

The table's row of a key before that instant replaces all earlier input rows; the input is read again from
the day of that instant on. So the cost of a row in order is one row, and of a late or corrected row the rows
since then.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from runtime.delta.change_set import NOTHING, Changes
from runtime.run.steps.batch_context import OLD, BatchContext, as_old, rows_of
from runtime.run.steps.gold import append, write
from runtime.table import Periods, Table, Upsert

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SINCE, SIDE = "_since", "_side"


def merge(context: BatchContext, table: Table, driver: Periods) -> Changes:
    """Bring an SCD type 2 table up to date with the change set of its input."""
    changes = context.changes.get(driver.table.name, NOTHING)
    if changes.after is None and changes.before is None:
        return NOTHING
    if changes.before is None and context.heads.is_empty(table.name):
        return append(context, table, table.build(changes.after))
    current = context.read(table)
    hit = context.keep(_hit(table, driver, _moved(driver, changes), current))
    days = rows_of(hit.selectExpr(f"min(cast({SINCE} as date)) as day"))
    if days[0]["day"] is None:
        return NOTHING
    touched = current.join(hit, list(driver.key)).where(f"{driver.ends} is null or {driver.ends} >= {SINCE}")
    recent = context.read(driver.table).where(f"{driver.day} >= date'{days[0]['day']}'")
    again = recent.join(hit, list(driver.key)).where(f"{driver.at} >= {SINCE}")
    rows = context.keep(table.build(_with_the_row_before(driver, again, touched)))
    return write(context, table, rows, touched)


def _moved(driver: Periods, changes: Changes) -> DataFrame:
    """Input rows that came (side 1) or went (side -1), reduced to the columns that this table uses."""
    assert isinstance(driver.table.write, Upsert)
    columns = [*dict.fromkeys((*driver.table.write.key, *driver.key, *driver.value, driver.at))]
    has_key = " and ".join(f"{name} is not null" for name in driver.key)
    sides = [
        frame.where(has_key).selectExpr(*columns, f"{number} as {SIDE}")
        for frame, number in ((changes.after, 1), (changes.before, -1))
        if frame is not None
    ]
    summed = reduce(lambda a, b: a.union(b), sides).groupBy(*columns).agg({SIDE: "sum"})
    return summed.withColumnRenamed(f"sum({SIDE})", SIDE).where(f"{SIDE} <> 0")


def _hit(table: Table, driver: Periods, moved: DataFrame, current: DataFrame) -> DataFrame:
    """The keys whose rows may change, each with the first instant of a possible change.

    A new input row inside a period of the same value changes nothing.
    """
    from pyspark.sql.functions import expr

    same = " and ".join(f"{name} = {OLD}{name}" for name in (*driver.key, *driver.value))
    begins, ends = f"{OLD}{driver.begins}", f"{OLD}{driver.ends}"
    within = f"{begins} <= {driver.at} and ({ends} is null or {driver.at} < {ends}) and {SIDE} > 0"
    relevant = moved.join(as_old(current, table), expr(f"{same} and {within}"), "left_anti")
    since = relevant.groupBy(*driver.key).agg({driver.at: "min"})
    return since.withColumnRenamed(f"min({driver.at})", SINCE)


def _with_the_row_before(driver: Periods, again: DataFrame, touched: DataFrame) -> DataFrame:
    """Input rows to read again, and the last row before them as the input row that began it."""
    before = touched.where(f"{driver.begins} < {SINCE}")
    first = before.selectExpr(*driver.key, *driver.value, f"{driver.begins} as {driver.at}")
    return again.unionByName(first, allowMissingColumns=True)
