"""The app's users, each as last seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.table import Fold, Merge, Table
from silver import events as silver_events

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def build(events: DataFrame) -> DataFrame:
    """Each user's latest event, on any page, by (event_at, session_id, item_in_session)."""
    ranked = events.where("user_id is not null").selectExpr(
        "user_id",
        "first_name",
        "last_name",
        "gender",
        "level",
        "event_at as _seen_at",
        "session_id as _session_id",
        "item_in_session as _item_in_session",
        """row_number() over (
            partition by user_id order by event_at desc, session_id desc, item_in_session desc
        ) as _rank""",
    )
    return ranked.where("_rank = 1").drop("_rank")


TABLE = Table(
    name="gold.users",
    grain="one row per user of the app",
    inputs=(
        Fold(
            silver_events.TABLE,
            key=("user_id",),
            since=("event_date", "cast(_seen_at as date)"),
            made_by=(
                ("_seen_at", "event_at"),
                ("_session_id", "session_id"),
                ("_item_in_session", "item_in_session"),
            ),
        ),
    ),
    build=build,
    write=Merge(
        key=("user_id",),
        newest_by=("_seen_at", "_session_id", "_item_in_session"),
    ),
    schema="""
        user_id int not null comment 'natural key, from the app',
        first_name string comment 'given name',
        last_name string comment 'family name',
        gender string comment 'F or M, as delivered',
        level string not null comment 'plan when last seen: free or paid',
        _seen_at timestamp not null comment 'event_at of the event that set this row',
        _session_id int not null comment 'session of that event',
        _item_in_session int not null comment 'place of that event in its session'
    """,
)
