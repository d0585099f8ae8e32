"""Whether a peer's star schema is ours, row for row, before it is timed.

Ids that a peer makes up (songplay_id) are left out; every other column of the five tables counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from lakehouse import Lakehouse

COLUMNS: Mapping[str, str] = {
    "songplays": "start_time, user_id, level, song_id, artist_id, session_id, location, user_agent, "
    "cast(year as int) as year, cast(month as int) as month",
    "users": "user_id, first_name, last_name, gender, level",
    "songs": "song_id, title, artist_id, cast(year as int) as year, duration",
    "artists": "artist_id, name, location, latitude, longitude",
    "time": "start_time, cast(hour as int) as hour, cast(day as int) as day, cast(week as int) as week, "
    "cast(month as int) as month, cast(year as int) as year, weekday",
}


def differences(lake: str, out: str) -> dict[str, int]:
    """Rows by table that only one of the two has."""
    ours = Lakehouse.open(lake=lake)
    found = {}
    for name, columns in COLUMNS.items():
        expected = ours.sql(f"select {columns} from gold.{name}")
        found[name] = _different(expected, f"select {columns} from {_peers(Path(out, name))}")
    return {name: rows for name, rows in found.items() if rows}


def _different(expected: object, select: str) -> int:
    database = duckdb.connect()
    database.execute("set TimeZone = 'UTC'")
    database.register("expected", expected)
    if "start_time" in select:  # a peer may write instants without a zone; all mean UTC
        select = select.replace("start_time", "cast(start_time as timestamptz) as start_time", 1)
    database.execute(f"create temp table theirs as {select}")
    counted = database.execute(
        "select (select count(*) from (from expected except all from theirs))"
        " + (select count(*) from (from theirs except all from expected))"
    ).fetchone()
    assert counted is not None
    return int(counted[0])


def _peers(folder: Path) -> str:
    if (folder / "_delta_log").is_dir():
        files = DeltaTable(folder).file_uris()
    else:
        files = [str(file) for file in folder.rglob("*.parquet")]
    return f"read_parquet({files}, hive_partitioning = true)"
