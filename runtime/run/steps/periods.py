"""Rows that hold for a period: a batch changes those of the keys, and from the instant on, that it hits.

What the table holds of a key before that instant stands for all earlier input rows, whatever their number;
the input is read again from that instant's day on. So an input row that comes in order costs what it
brings, and a late or corrected one the time since.
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
    """Bring a table of periods up to date with the change set of its input."""
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
    """Input rows that came (side 1) or went (side -1), as far as this table looks at them."""
    assert isinstance(driver.table.write, Upsert)
    columns = [*dict.fromkeys((*driver.table.write.key, *driver.key, *driver.value, driver.at))]
    known = " and ".join(f"{name} is not null" for name in driver.key)
    sides = [
        frame.where(known).selectExpr(*columns, f"{number} as {SIDE}")
        for frame, number in ((changes.after, 1), (changes.before, -1))
        if frame is not None
    ]
    summed = reduce(lambda a, b: a.union(b), sides).groupBy(*columns).agg({SIDE: "sum"})
    return summed.withColumnRenamed(f"sum({SIDE})", SIDE).where(f"{SIDE} <> 0")


def _hit(table: Table, driver: Periods, moved: DataFrame, current: DataFrame) -> DataFrame:
    """The keys whose rows may change, each with the instant from which on they may.

    An input row that comes into a period of its own value changes nothing, whenever it comes.
    """
    from pyspark.sql.functions import expr

    same = " and ".join(f"{name} = {OLD}{name}" for name in (*driver.key, *driver.value))
    begins, ends = f"{OLD}{driver.begins}", f"{OLD}{driver.ends}"
    within = f"{begins} <= {driver.at} and ({ends} is null or {driver.at} < {ends}) and {SIDE} > 0"
    telling = moved.join(as_old(current, table), expr(f"{same} and {within}"), "left_anti")
    since = telling.groupBy(*driver.key).agg({driver.at: "min"})
    return since.withColumnRenamed(f"min({driver.at})", SINCE)


def _with_the_row_before(driver: Periods, again: DataFrame, touched: DataFrame) -> DataFrame:
    """Input rows to read again, and the row that held just before them as the input row it began with."""
    before = touched.where(f"{driver.begins} < {SINCE}")
    write_session = before.selectExpr(*driver.key, *driver.value, f"{driver.begins} as {driver.at}")
    return again.unionByName(write_session, allowMissingColumns=True)
