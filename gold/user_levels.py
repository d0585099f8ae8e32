"""Which user was on which plan, and when: SCD type 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Merge, Periods, Table
from silver import events as silver_events

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The windows below share it, so the events are sorted once.
IN_ORDER = "over (partition by user_id order by event_at, session_id, item_in_session)"


def build(events: DataFrame) -> DataFrame:
    """Each user's uninterrupted stretches of one level, on any page, as half-open intervals.

    Of several events of a user at one instant the last by (session_id, item_in_session) says the level,
    so no interval is empty.
    """
    identified = events.where("user_id is not null")
    beside_the_next = identified.selectExpr(
        "user_id",
        "level",
        "event_at",
        "session_id",
        "item_in_session",
        f"lead(event_at) {IN_ORDER} as _next_at",
    )
    last_at_their_instant = beside_the_next.where("not (event_at <=> _next_at)")
    beside_the_one_before = last_at_their_instant.selectExpr(
        "user_id", "level", "event_at as valid_from", f"lag(level) {IN_ORDER} as _level_before"
    )
    starts = beside_the_one_before.where("not (level <=> _level_before)")
    return starts.selectExpr(
        "user_id",
        "level",
        "valid_from",
        "lead(valid_from) over (partition by user_id order by valid_from) as valid_to",
    ).selectExpr("*", "valid_to is null as is_current")


TABLE = Table(
    name="gold.user_levels",
    grain="one row per user and uninterrupted stretch of one level",
    inputs=(
        Periods(
            silver_events.TABLE,
            key=("user_id",),
            value=("level",),
            at="event_at",
            day="event_date",
            begins="valid_from",
            ends="valid_to",
        ),
    ),
    build=build,
    write=Merge(key=("user_id", "valid_from")),
    schema="""
        user_id int not null comment 'natural key, from the app',
        level string not null comment 'plan during the interval: free or paid',
        valid_from timestamp not null comment 'the first event on this plan, UTC; part of the interval',
        valid_to timestamp comment 'start of the next interval, UTC, no longer part; NULL while open',
        is_current boolean not null comment 'whether the interval is open: the plan when last seen'
    """,
    references={"user_id": "gold.users"},
)
