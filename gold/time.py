"""Every instant at which a play began, taken apart for grouping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gold import songplays as gold_songplays
from runtime.table import Fold, Merge, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def build(songplays: DataFrame) -> DataFrame:
    """The distinct instants of the plays; ISO weeks, English weekdays, UTC."""
    return (
        songplays.select("start_time")
        .distinct()
        .selectExpr(
            "start_time",
            "hour(start_time) as hour",
            "day(start_time) as day",
            "weekofyear(start_time) as week",
            "month(start_time) as month",
            "year(start_time) as year",
            "date_format(start_time, 'EEEE') as weekday",
        )
    )


TABLE = Table(
    name="gold.time",
    grain="one row per instant of a play",
    inputs=(Fold(gold_songplays.TABLE, key=("start_time",)),),
    build=build,
    write=Merge(key=("start_time",)),
    partition_by=("year", "month"),
    schema="""
        start_time timestamp not null comment 'the instant, UTC',
        hour int not null comment '0 to 23, UTC',
        day int not null comment 'day of the month, 1 to 31',
        week int not null comment 'ISO week, 1 to 53',
        month int not null comment '1 to 12',
        year int not null comment 'UTC year',
        weekday string not null comment 'Monday to Sunday'
    """,
)
