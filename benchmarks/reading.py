"""Reading: a month of plays as Arrow, and ten usual questions, against bare libraries on the same files."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse import Lakehouse

MONTH = {"year": 2018, "month": 11}
PLAYS_BY = (
    "select t.{0}, count(*) from gold.songplays p join gold.time t using (start_time) group by 1 order by 1"
)
TOP = """
    select d.{name}, count(*) n from gold.songplays p join gold.{table} d using ({key})
    group by 1 order by n desc, 1 limit 10
"""
QUESTIONS = {
    "plays": "select count(*) from gold.songplays",
    "plays by day": "select cast(start_time as date) d, count(*) from gold.songplays group by d order by d",
    "plays by hour": PLAYS_BY.format("hour"),
    "plays by weekday": PLAYS_BY.format("weekday"),
    "free and paid": """
        select level, count(*), count(distinct user_id) from gold.songplays group by level order by level""",
    "top songs": TOP.format(name="title", table="songs", key="song_id"),
    "top artists": TOP.format(name="name", table="artists", key="artist_id"),
    "top places": "select location, count(*) n from gold.songplays group by 1 order by n desc, 1 limit 10",
    "listeners": """
        select u.gender, u.level, count(*) from gold.songplays p join gold.users u using (user_id)
        group by all order by all""",
    "sessions": "select max(n), count(*) from (select count(*) n from gold.songplays group by session_id)",
}


def month(lake: str, rounds: int) -> dict[str, list[float]]:
    """Seconds to get one month of plays as Arrow, ours and delta-rs's own, in turn, in warm processes.

    delta-rs gives string views, which point into the pages it read: pyarrow neither compares, sorts, takes
    nor joins them. So its texts are made plain strings, as those of `.arrow()` are; this way is still
    quicker than its own `to_pyarrow_table`, which gives them so.
    """
    uri = f"{lake}/gold/songplays"

    def ours() -> pa.Table:
        return Lakehouse.open(lake=lake).table("gold.songplays").arrow(**MONTH)

    types = ours().schema
    where = " and ".join(f"{name} = {value}" for name, value in MONTH.items())

    def bare() -> pa.Table:
        query = QueryBuilder().register("t", DeltaTable(uri))
        return pa.table(query.execute(f"select * from t where {where}").read_all()).cast(types)

    assert ours().sort_by("songplay_id").equals(bare().sort_by("songplay_id"))
    return _in_turn({"lakehouse": ours, "delta-rs": bare}, rounds)


def questions(lake: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds a question, through `Lakehouse.sql` and through DuckDB on the same Parquet files."""
    found = {}
    for name, sql in QUESTIONS.items():
        ours, bare = _asker(lake, sql), _bare(lake, sql)
        assert ours().to_pylist() == bare().to_pylist(), name
        found[name] = _in_turn({"lakehouse": ours, "DuckDB": bare}, rounds)
    return found


def _asker(lake: str, sql: str) -> Callable[[], pa.Table]:
    return lambda: Lakehouse.open(lake=lake).sql(sql)


def _bare(lake: str, sql: str) -> Callable[[], pa.Table]:
    def ask() -> pa.Table:
        database = duckdb.connect()
        database.execute("set TimeZone = 'UTC'; create schema gold")
        for table in ("songplays", "users", "songs", "artists", "time"):
            files = DeltaTable(f"{lake}/gold/{table}").file_uris()
            database.execute(
                f"create view gold.{table} as from read_parquet({files}, hive_partitioning = true)"
            )
        return database.sql(sql).to_arrow_table()

    return ask


def _in_turn(ways: dict[str, Callable[[], pa.Table]], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            took[name].append(time.perf_counter() - begun)
    return took


def median_ratio(took: dict[str, list[float]]) -> float:
    """The first way's median over the second's."""
    first, second = (statistics.median(seconds) for seconds in took.values())
    return first / second
