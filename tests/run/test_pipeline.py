"""The same pipeline on either engine: what a run makes, and that how it was cut does not matter."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.support.comparing import DERIVED, GOLD, assert_same_tables, changed_since, rows, versions
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]


def copy(sample: Path, to: Deliveries, source: str, keep: Callable[[str], bool]) -> None:
    """Deliver the files of a sample whose name a predicate keeps."""
    for file in sorted((sample / source).rglob("*.json")):
        target = getattr(to, source) / file.relative_to(sample / source)
        if keep(file.name) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)


def everything(_: str) -> bool:
    return True


@pytest.mark.essential
def test_a_dirty_sample_gives_the_answers_known_while_it_was_made(
    dirty_lake: Lakehouse, dirty_sample: Path
) -> None:
    truth = json.loads((dirty_sample / "truth.json").read_text())
    (state,) = dirty_lake.history()
    assert dict(state["records"]) == truth["records"]
    status = dirty_lake.status()
    assert status["quarantine"] == truth["quarantine"]
    assert {n: status["tables"][n]["rows"] for n in truth["tables"]} == truth["tables"]
    levels = rows(dirty_lake, "select user_id::varchar as u, level from gold.users")
    assert {r["u"]: r["level"] for r in levels} == truth["users"]
    names = rows(dirty_lake, "select artist_id, name from gold.artists")
    assert {r["artist_id"]: r["name"] for r in names} == truth["artists"]
    assert songplays_digest(dirty_lake) == truth["songplays_digest"]


def songplays_digest(lake: Lakehouse) -> str:
    plays = rows(
        lake,
        """select p.session_id, e.item_in_session, epoch_ms(p.start_time) as ts, p.user_id, p.level,
                  coalesce(p.song_id, '') as song_id, coalesce(p.artist_id, '') as artist_id
           from gold.songplays p join silver.events e on e.event_id = p.songplay_id""",
    )
    lines = sorted("|".join(str(value) for value in p.values()) for p in plays)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.long_on_spark
def test_days_in_reverse_order_and_songs_last_give_the_same_gold(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, tmp_path: Path
) -> None:
    days = [
        [play("2018-11-02 10:00:00"), event("2018-11-02 11:00:00", itemInSession=1, level="paid")],
        [play("2018-11-03 10:00:00", sessionId=2, level="paid"), play(userId="8", sessionId=3)],
        [event("2018-11-04 09:00:00", sessionId=4, level="free", lastName="King")],
    ]
    lake = open_lake("reverse", deliveries)
    for number in (2, 1, 0):
        deliveries.logs(f"{number}.json", days[number])
        lake.run()
    deliveries.songs("a.json", [song()])
    lake.run()

    whole = Deliveries(tmp_path / "whole")
    for number, records in enumerate(days):
        whole.logs(f"{number}.json", records)
    whole.songs("a.json", [song()])
    other = open_lake("whole-lake", whole)
    other.run()
    assert_same_tables(engine, lake, other, GOLD)
    assert rows(lake, "select count(*) n from gold.songplays where song_id = 'SONG1'") == [{"n": 3}]


def test_a_dirty_sample_taken_in_parts_equals_one_run_and_a_full_refresh_changes_nothing(
    open_lake: OpenLake,
    engine: Engine,
    dirty_lake: Lakehouse,
    dirty_sample: Path,
    deliveries: Deliveries,
) -> None:
    lake = open_lake("daily", deliveries)
    names = sorted(f.name for f in (dirty_sample / "log_data").rglob("*.json"))
    copy(dirty_sample, deliveries, "song_data", everything)
    for upto in (names[2], names[-1]):
        copy(dirty_sample, deliveries, "log_data", lambda name, upto=upto: name <= upto)  # type: ignore[misc]
        lake.run()
    assert lake.status()["batch_id"] == 2
    assert_same_tables(engine, lake, dirty_lake)
    lake.run(full_refresh=True)
    assert_same_tables(engine, lake, dirty_lake)
    assert lake.run().as_json() == {"new_files": 0, "batches": []}


@pytest.mark.long_on_spark
@pytest.mark.parametrize("batch_bytes", [pytest.param("60KB", marks=pytest.mark.slow), "200KB"])
def test_batch_size_does_not_matter(
    open_lake: OpenLake,
    engine: Engine,
    dirty_lake: Lakehouse,
    dirty_sample: Path,
    deliveries: Deliveries,
    batch_bytes: str,
) -> None:
    copy(dirty_sample, deliveries, "song_data", everything)
    copy(dirty_sample, deliveries, "log_data", everything)
    lake = open_lake("small", deliveries, batch_bytes=batch_bytes)
    assert len(lake.run().states) > 1
    assert_same_tables(engine, lake, dirty_lake)


@pytest.mark.essential
def test_late_songs_and_corrected_songs_link_their_plays_anew(
    dirty_lake: Lakehouse, dirty_sample: Path, tmp_path: Path
) -> None:
    truth = json.loads((dirty_sample / "truth.json").read_text())["after_late"]
    shutil.copytree(dirty_lake.settings.lake, tmp_path / "lake")
    late = Lakehouse.open(
        lake=str(tmp_path / "lake"),
        song_data=str(dirty_sample / "late" / "song_data"),
        log_data=dirty_lake.settings.log_data,
        engine=dirty_lake.settings.engine,
    )
    late.run()
    assert songplays_digest(late) == truth["songplays_digest"]
    tables = late.status()["tables"]
    assert {n: tables[n]["rows"] for n in truth["tables"]} == truth["tables"]
    assert dict(late.history()[-1]["records"]) == truth["records"]


@pytest.mark.long_on_spark
def test_a_play_corrected_away_leaves_gold_with_its_instant_and_its_user(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play(), play("2018-11-02 11:00:00", userId="8", sessionId=2)])
    lake.run()
    deliveries.logs("2.json", [event(userId="9")])
    (state,) = lake.run().states
    assert state.records["accepted"] == 1
    assert rows(lake, "select user_id from gold.users order by 1") == [
        {"user_id": 8},
        {"user_id": 9},
    ]
    assert rows(lake, "select user_id from gold.songplays") == [{"user_id": 8}]
    assert rows(lake, "select hour from gold.time") == [{"hour": 11}]
    assert state.tables["gold.users"]["deleted"] == 1


@pytest.mark.long_on_spark
def test_an_invalid_correction_goes_to_quarantine_and_the_old_row_stays(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play()])
    lake.run()
    before = versions(lake)
    deliveries.logs("2.json", [play(level="gold"), play(userId="")])
    (state,) = lake.run().states
    assert state.records == {
        "delivered": 2, "accepted": 0, "duplicate": 0, "superseded": 0, "quarantined": 2,
    }  # fmt: skip
    assert lake.status()["quarantine"] == {"level_is_known": 1, "play_has_user": 1}
    assert changed_since(before, lake) == {"bronze.log_data", "silver.quarantine"}


@pytest.mark.long_on_spark
def test_a_late_older_event_never_turns_a_level_back(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [event("2018-11-01 10:00:00")])
    deliveries.logs("2.json", [event("2018-11-05 10:00:00", sessionId=2)])
    lake.run()
    before = versions(lake)
    # Newer than the row's first event, older than its latest, which said nothing new.
    deliveries.logs("3.json", [event("2018-11-03 10:00:00", sessionId=3, level="paid")])
    lake.run()
    assert rows(lake, "select level from gold.users") == [{"level": "free"}]
    assert versions(lake)["gold.users"] == before["gold.users"]


@pytest.mark.long_on_spark
def test_a_late_event_counts_when_the_newer_one_was_corrected_away(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [event("2018-11-01 10:00:00")])
    lake.run()
    newest = event("2018-11-05 10:00:00", sessionId=2, level="paid")
    deliveries.logs("2.json", [event("2018-11-04 10:00:00", sessionId=3, level="paid"), newest])
    lake.run()
    deliveries.logs("3.json", [{**newest, "userId": "9"}])
    lake.run()
    deliveries.logs("4.json", [event("2018-11-04 12:00:00", sessionId=4, level="free")])
    lake.run()
    assert rows(lake, "select user_id, level from gold.users order by 1") == [
        {"user_id": 7, "level": "free"},
        {"user_id": 9, "level": "paid"},
    ]


@pytest.mark.long_on_spark
def test_a_batch_that_changes_no_user_leaves_no_new_version_of_users(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play()])
    lake.run()
    before = versions(lake)
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2)])
    lake.run()
    assert changed_since(before, lake) == {"bronze.log_data", "silver.events", "gold.songplays", "gold.time"}


@pytest.mark.long_on_spark
def test_a_batch_without_plays_leaves_plays_and_instants_alone(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play()])
    lake.run()
    before = versions(lake)
    deliveries.logs("2.json", [event("2018-11-03 10:00:00", sessionId=2, userId="8")])
    lake.run()
    assert changed_since(before, lake) == {
        "bronze.log_data",
        "silver.events",
        "gold.users",
        "gold.user_levels",
    }


@pytest.mark.long_on_spark
def test_a_grown_file_is_a_new_delivery_whose_repeats_keep_their_precedence(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("a.json", [play()])
    lake.run()
    deliveries.logs("b.json", [play(location="Paris")])  # a correction, delivered later
    lake.run()
    deliveries.logs("a.json", [play(), play("2018-11-02 12:00:00", itemInSession=1)])
    (state,) = lake.run().states
    assert state.records == {
        "delivered": 2, "accepted": 1, "duplicate": 0, "superseded": 1, "quarantined": 0,
    }  # fmt: skip
    places = rows(lake, "select location from gold.songplays order by start_time")
    assert [r["location"] for r in places] == ["Paris", "London"]
    gold = rows(lake, "select * from gold.songplays order by 1")
    lake.run(full_refresh=True)
    assert rows(lake, "select * from gold.songplays order by 1") == gold


@pytest.mark.long_on_spark
def test_repeats_keep_their_precedence_also_when_an_older_delivery_comes_late(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("0.json", [play(location="Rome")])
    deliveries.logs("a.json", [play()])
    with monkeypatch.context() as held_back:
        held_back.setattr("runtime.run.runner.Runner._without_changed", without_the_first)
        lake.run()
        deliveries.logs("b.json", [play(location="Paris")])
        lake.run()
        deliveries.logs("a.json", [play(), play("2018-11-02 12:00:00", itemInSession=1)])
        lake.run()
    assert lake.run().new_files == 1
    places = rows(lake, "select location from gold.songplays order by start_time")
    assert [r["location"] for r in places] == ["Paris", "London"]


def without_the_first(_: object, batch: tuple[Any, ...], __: object) -> tuple[Any, ...]:
    return tuple(piece for piece in batch if piece.file.listed.path != "0.json")


@pytest.mark.long_on_spark
def test_nothing_new_changes_no_file_of_the_lake_even_when_all_sources_are_touched(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    files = [deliveries.logs("a.json", [play()]), deliveries.songs("s.json", [song()])]
    lake.run()
    before = listing(lake)
    assert lake.run().as_json() == {"new_files": 0, "batches": []}
    for file in files:
        os.utime(file)
    assert lake.run().as_json() == {"new_files": 0, "batches": []}
    assert listing(lake) == before


def listing(lake: Lakehouse) -> dict[str, tuple[int, int]]:
    files = (f for f in Path(lake.settings.lake).rglob("*") if f.is_file())
    return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.mark.long_on_spark
def test_a_run_cut_off_before_its_publish_is_rolled_back_and_done_again(
    open_lake: OpenLake,
    engine: Engine,
    deliveries: Deliveries,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliveries.logs("1.json", [play()])
    lake = open_lake("lake", deliveries)
    lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, level="paid")])
    with monkeypatch.context() as patched:
        patched.setattr("runtime.run.runner.Runner._commit", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            lake.run()
    assert rows(lake, "select level from gold.users") == [{"level": "free"}]
    lake.run()
    other = open_lake("undisturbed", deliveries)
    other.run()
    assert_same_tables(engine, lake, other, DERIVED)


def _cut_off(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.long_on_spark
def test_a_lake_lies_in_any_folder(open_lake: OpenLake, engine: Engine, deliveries: Deliveries) -> None:
    deliveries.logs("1.json", [play()])
    lake = open_lake("my lake, {né} 'in' ~`日本`", deliveries)
    for level in ("free", "paid"):
        deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, level=level)])
        lake.run()
    assert rows(lake, "select level from gold.users") == [{"level": "paid"}]
    assert [r["level"] for r in lake.at(batch=1).table("gold.users").spark().toArrow().to_pylist()] == [
        "free"
    ]
    here = Path(lake.settings.lake)
    assert {path.name for path in here.parent.iterdir()} == {here.name, "sources"}


@pytest.mark.long_on_spark
def test_a_snapshot_reads_every_table_as_of_one_batch(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    for day in range(1, 4):
        at = f"2018-11-0{day} 10:00:00"
        deliveries.logs(f"{day}.json", [play(at, sessionId=day, level="paid" if day > 1 else "free")])
        lake.run()
    first = lake.at(batch=1)
    assert first.table("gold.users").arrow().to_pylist()[0]["level"] == "free"
    assert first.sql("select count(*) n from gold.songplays").to_pylist() == [{"n": 1}]
    assert lake.at(batch=2).table("gold.songplays").spark().count() == 2
    assert [r["level"] for r in first.table("gold.users").spark().toArrow().to_pylist()] == ["free"]
    assert lake.table("gold.songplays").pandas().shape == lake.table("gold.songplays").polars().shape
