"""The real data, with the answers known beforehand. SPARKIFY_DATA names its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.comparing import GOLD, assert_same_tables, rows
from tests.support.deliveries import Deliveries

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]


def deliver(real: Path, to: Deliveries, source: str, first: int = 1, last: int = 30) -> None:
    """Copy songs, or the logs of some days of November 2018."""
    for file in (real / source).rglob("*.json"):
        day = int(file.name[8:10]) if source == "log_data" else 1
        if first <= day <= last:
            target = getattr(to, source) / file.relative_to(real / source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


@pytest.fixture
def one_run(open_lake: OpenLake, engine: Engine, real_data: Path, tmp_path: Path) -> Lakehouse:
    sources = Deliveries(tmp_path / "whole")
    deliver(real_data, sources, "song_data")
    deliver(real_data, sources, "log_data")
    lake = open_lake("one-run", sources)
    lake.run()
    return lake


def changes_of_plan(lake: Lakehouse) -> list[tuple[int, int, str]]:
    found = rows(
        lake,
        """select * from (
               select user_id, day(valid_from), level from gold.user_levels
               qualify row_number() over (partition by user_id order by valid_from) > 1
               order by valid_from, user_id
           )""",
    )
    return [tuple(row.values()) for row in found]


@pytest.mark.essential
def test_the_known_answers_come_out(one_run: Lakehouse) -> None:
    counted = {name: t["rows"] for name, t in one_run.status()["tables"].items()}
    assert {n: counted[n] for n in GOLD} == {
        "gold.songplays": 6820,
        "gold.users": 97,
        "gold.songs": 71,
        "gold.artists": 69,
        "gold.time": 6813,
        "gold.user_levels": 106,
    }
    assert rows(one_run, "select level, count(*) n from gold.songplays group by 1 order by 1") == [
        {"level": "free", "n": 1229},
        {"level": "paid", "n": 5591},
    ]
    assert rows(one_run, "select level, count(*) n from gold.users group by 1 order by 1") == [
        {"level": "free", "n": 75},
        {"level": "paid", "n": 22},
    ]
    # Who changed plans, and on which day of November.
    assert changes_of_plan(one_run) == [
        (29, 8, "paid"), (80, 8, "paid"), (85, 9, "paid"), (36, 9, "paid"), (16, 14, "paid"),
        (49, 14, "paid"), (88, 19, "paid"), (15, 21, "free"), (15, 21, "paid"),
    ]  # fmt: skip
    assert rows(
        one_run,
        """select user_id, epoch_ms(p.start_time) ms, song_id, artist_id, weekday, week
           from gold.songplays p join gold.time using (start_time) where song_id is not null""",
    ) == [
        {
            "user_id": 15,
            "ms": 1542837407796,
            "song_id": "SOZCTXZ12AB0182364",
            "artist_id": "AR5KOSW1187FB35FF4",
            "weekday": "Wednesday",
            "week": 47,
        }
    ]
    repaired = "select distinct artist from silver.events where artist in ('Legião Urbana', 'Múm')"
    assert len(rows(one_run, repaired)) == 2


@pytest.mark.long_on_spark
def test_six_days_then_the_rest_end_like_one_run_and_show_who_upgraded(
    open_lake: OpenLake, engine: Engine, one_run: Lakehouse, real_data: Path, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliver(real_data, deliveries, "song_data")
    deliver(real_data, deliveries, "log_data", last=6)
    lake.run()
    assert lake.status()["tables"]["gold.songplays"]["rows"] == 920
    deliver(real_data, deliveries, "log_data", first=7)
    lake.run()
    assert_same_tables(engine, lake, one_run, GOLD)
    by_level = "select level, count(*) n from gold.users group by level order by level"
    assert lake.at(batch=1).sql(by_level).to_pylist() == [
        {"level": "free", "n": 52},
        {"level": "paid", "n": 10},
    ]
    paid = "select user_id from gold.users where level = 'paid'"
    then = {r["user_id"] for r in lake.at(batch=1).sql(paid).to_pylist()}
    now = {r["user_id"] for r in rows(lake, paid)}
    assert {15, 16, 29, 36, 49, 80, 85, 88} <= now
    assert not {16, 29, 36, 49, 80, 85, 88} & then  # 15 was paid before, too


@pytest.mark.long_on_spark
@pytest.mark.parametrize("days", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_days_in_reverse_order_and_songs_last_end_like_one_run(
    days: int,
    open_lake: OpenLake,
    engine: Engine,
    one_run: Lakehouse,
    real_data: Path,
    deliveries: Deliveries,
) -> None:
    lake = open_lake("lake", deliveries)
    for day in range(30, 0, -days):
        deliver(real_data, deliveries, "log_data", day - days + 1, day)
        lake.run()
    deliver(real_data, deliveries, "song_data")
    lake.run()
    assert_same_tables(engine, lake, one_run, GOLD)


@pytest.mark.long_on_spark
@pytest.mark.parametrize("more", [12, pytest.param(40, marks=pytest.mark.slow)])
def test_a_batch_reads_the_same_after_many_more_batches(
    more: int,
    open_lake: OpenLake,
    engine: Engine,
    real_data: Path,
    deliveries: Deliveries,
) -> None:
    lake = open_lake("lake", deliveries)
    deliver(real_data, deliveries, "log_data", last=6)
    lake.run()
    template = json.loads(
        (real_data / "log_data/2018/11/2018-11-07-events.json").read_text("utf-8").splitlines()[0]
    )
    for number in range(more):
        record = {**template, "userId": "7", "sessionId": 90000 + number, "page": "NextSong"}
        deliveries.logs(f"more/{number}.json", [record])
        lake.run()
    first = lake.at(batch=1).table("gold.users")
    expected = sorted(first.duckdb().fetchall())
    assert len(expected) == 62
    assert sorted(tuple(r.values()) for r in first.spark().toArrow().to_pylist()) == expected
