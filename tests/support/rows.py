"""Rows of tables with defaults, and assertions on the rows that a table builds from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chispa import assert_df_equality

import gold
from runtime.engine import Engine
from runtime.table import Table
from tests.support.comparing import collected

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


Row = dict[str, Any]
TABLES = gold.TABLES
DELIVERED = "raw string, _source_file string, _source_line bigint, _delivery bigint"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def event_row(at: str = "2018-11-02 10:00:00", **values: Any) -> Row:
    """A row of silver.events that is no play, by default of user 7."""
    defaults = {
        "event_id": 1, "session_id": 1, "item_in_session": 0, "event_at": utc(at), "user_id": 7,
        "first_name": "Ada", "last_name": "Byron", "gender": "F", "level": "free", "location": "London",
        "auth": "Logged In", "page": "Home", "method": "GET", "status": 200, "user_agent": "Mozilla/5.0",
        "event_date": utc(at).date(),
    }  # fmt: skip
    return {**defaults, **values}


def play_row(at: str = "2018-11-02 10:00:00", **values: Any) -> Row:
    """A row of silver.events that plays the song of `song_row()`."""
    played = {"page": "NextSong", "song": "Notes", "artist": "The Engine", "length": 200.5}
    return event_row(at, **{**played, **values})


def song_row(**values: Any) -> Row:
    """A row of silver.songs."""
    defaults = {
        "song_id": "SONG1", "title": "Notes", "artist_id": "ARTIST1", "artist_name": "The Engine",
        "duration": 200.5, "num_songs": 1,
    }  # fmt: skip
    return {**defaults, **values}


def songplay_row(**values: Any) -> Row:
    """The row of gold.songplays for `play_row()`, linked to no song."""
    defaults = {
        "songplay_id": 1, "start_time": utc("2018-11-02 10:00:00"), "user_id": 7, "level": "free",
        "session_id": 1, "location": "London", "user_agent": "Mozilla/5.0", "year": 2018, "month": 11,
    }  # fmt: skip
    return {**defaults, **values}


def user_row(**values: Any) -> Row:
    """The row of gold.users for `event_row()`."""
    defaults = {"user_id": 7, "first_name": "Ada", "last_name": "Byron", "gender": "F", "level": "free"}
    return {**defaults, **values}


def frame(engine: Engine, table: str, rows: Sequence[Row]) -> DataFrame:
    """Rows with the content columns of a table; columns missing in a row are NULL."""
    columns = [c for c in TABLES[table].columns if c.name in TABLES[table].content]
    unknown = {name for row in rows for name in row} - {c.name for c in columns}
    assert not unknown, f"{table} has no {unknown}"
    data = [tuple(row.get(c.name) for c in columns) for row in rows]
    return engine.spark.createDataFrame(data, ", ".join(f"{c.name} {c.type}" for c in columns))


def records(engine: Engine, raws: Sequence[str | Mapping[str, Any]]) -> DataFrame:
    """Delivered records, each one line of the same file."""
    lines = [raw if isinstance(raw, str) else json.dumps(raw) for raw in raws]
    data = [(line, "a.json", number, 1) for number, line in enumerate(lines, 1)]
    return engine.spark.createDataFrame(data, DELIVERED)


def assert_builds(engine: Engine, table: str, inputs: Sequence[DataFrame], expected: Sequence[Row]) -> None:
    """Assert that `build` returns exactly these rows, in the declared types."""
    content = TABLES[table].content
    built = TABLES[table].build(*inputs).select(*content)
    assert_df_equality(built, frame(engine, table, expected), ignore_row_order=True, ignore_nullable=True)


def failed(table: Table, rows: DataFrame) -> list[list[str]]:
    """The expectations each row fails, in order of lines."""
    checks = [f"coalesce({predicate}, false) as {name}" for name, predicate in table.expectations.items()]
    judged = collected(rows.selectExpr("_source_line", *checks).orderBy("_source_line"))
    return [[name for name in table.expectations if not row[name]] for row in judged]
