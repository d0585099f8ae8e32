"""After a rule changed: what passes now is taken in as if the rule had always been so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from runtime.errors import UsageError
from silver import events, songs
from tests.support.comparing import DERIVED, assert_same_tables, rows
from tests.support.deliveries import Deliveries, event, play, song

pytestmark = pytest.mark.engine
long_on_spark = pytest.mark.long_on_spark
OpenLake = Callable[..., Lakehouse]
GOLD_LEVEL = "level in ('free', 'paid', 'gold')"


@pytest.fixture
def gold_is_known(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Changes the rule: from now on `gold` is a level."""
    return lambda: monkeypatch.setitem(events.TABLE.expectations, "level_is_known", GOLD_LEVEL)


def retried(lake: Lakehouse) -> dict[str, int]:
    """The counts of a retry that changed something."""
    done = lake.quarantine.retry()
    assert done.state is not None
    assert done.state.kind == "quarantine retry"
    assert sum(done.state.records.values()) == 0
    records: dict[str, int] = done.as_json()["records"]
    return records


def assert_as_if_always_so(open_lake: OpenLake, engine: Engine, lake: Lakehouse, sources: Deliveries) -> None:
    """The lake equals one made from scratch by the rules of now, and its counts are true."""
    other = open_lake("from-scratch", sources)
    other.run()
    assert_same_tables(engine, lake, other, DERIVED)
    assert lake.status()["quarantine"] == other.status()["quarantine"]


@pytest.mark.long_on_spark
def test_a_record_that_passes_now_is_taken_in_and_gold_follows(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    deliveries.songs("s.json", [song()])
    deliveries.logs("1.json", [event(), play("2018-11-02 11:00:00", itemInSession=1, level="gold"), "broken"])
    lake = open_lake("lake", deliveries)
    lake.run()
    gold_is_known()
    assert retried(lake) == {
        "accepted": 1, "duplicate": 0, "superseded": 0, "quarantined": 1, "relabelled": 0,
    }  # fmt: skip
    assert rows(lake, "select song_id, level from gold.songplays") == [{"song_id": "SONG1", "level": "gold"}]
    assert rows(lake, "select level from gold.users") == [{"level": "gold"}]
    where = "select _delivery, _source_line, _batch_id from silver.events where level = 'gold'"
    assert rows(lake, where) == [{"_delivery": 2, "_source_line": 2, "_batch_id": 2}]
    assert lake.status()["quarantine"] == {"record_is_json_object": 1}
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_a_second_retry_finds_nothing_to_do_and_publishes_nothing(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    deliveries.logs("1.json", [play(level="gold"), play(level="lead")])
    lake = open_lake("lake", deliveries)
    lake.run()
    before = lake.status()
    assert lake.quarantine.retry().state is None
    gold_is_known()
    assert retried(lake)["accepted"] == 1
    after = lake.status()
    again = lake.quarantine.retry()
    assert (again.state, again.left) == (None, 1)
    assert lake.status() == after
    assert (before["batch_id"], after["batch_id"]) == (1, 2)


@long_on_spark
def test_an_empty_quarantine_starts_no_engine_and_claims_no_lease(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("1.json", [play()])
    lake = open_lake("lake", deliveries)
    lake.run()
    monkeypatch.setattr("runtime.run.runner.claim", None)
    assert lake.quarantine.retry().as_json()["batch_id"] is None


@long_on_spark
def test_a_record_older_than_a_stored_correction_loses_and_a_newer_one_wins(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    other: dict[str, Any] = {"sessionId": 2, "userId": "8"}
    deliveries.logs("1.json", [play(level="gold"), play(**other)])
    lake = open_lake("lake", deliveries)
    lake.run()
    deliveries.logs("2.json", [play(level="paid"), play(**other, level="gold")])
    lake.run()
    gold_is_known()
    told = retried(lake)
    assert (told["accepted"], told["superseded"]) == (1, 1)
    levels = rows(lake, "select user_id, level from gold.songplays order by 1")
    assert levels == [{"user_id": 7, "level": "paid"}, {"user_id": 8, "level": "gold"}]
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_of_several_quarantined_records_of_one_key_the_last_wins(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    places = ["London", "Paris", "Rome"]
    deliveries.logs("1.json", [play(level="gold", location=place) for place in places])
    deliveries.logs("2.json", [play(level="gold", location="Rome"), play(level="gold", location="Oslo")])
    lake = open_lake("lake", deliveries)
    lake.run()
    gold_is_known()
    assert retried(lake) == {
        "accepted": 1, "duplicate": 0, "superseded": 4, "quarantined": 0, "relabelled": 0,
    }  # fmt: skip
    assert rows(lake, "select location from gold.songplays") == [{"location": "Oslo"}]
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_a_repeat_in_a_grown_file_keeps_the_precedence_of_its_first_delivery(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    first, second = play(level="gold"), play("2018-11-02 12:00:00", itemInSession=1, level="gold")
    correction = play(level="paid")
    deliveries.logs("a.json", [first])
    lake = open_lake("lake", deliveries)
    lake.run()
    deliveries.logs("b.json", [correction])
    lake.run()
    deliveries.logs("a.json", [first, second])
    lake.run()
    gold_is_known()
    told = retried(lake)
    assert (told["accepted"], told["superseded"]) == (1, 2)
    assert [r["level"] for r in rows(lake, "select level from gold.songplays order by start_time")] == [
        "paid",
        "gold",
    ]
    gold = rows(lake, "select * from gold.songplays order by 1")
    lake.run(full_refresh=True)
    assert rows(lake, "select * from gold.songplays order by 1") == gold
    assert lake.status()["quarantine"] == {}


@long_on_spark
def test_a_record_whose_reasons_merely_changed_stays_with_the_new_ones(
    open_lake: OpenLake,
    engine: Engine,
    deliveries: Deliveries,
    gold_is_known: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliveries.logs("1.json", [play(level="gold", userId=""), play(level="lead", status="ok")])
    lake = open_lake("lake", deliveries)
    lake.run()
    gold_is_known()
    monkeypatch.setitem(events.TABLE.expectations, "person_has_name", "first_name <> 'Ada'")
    assert retried(lake) == {
        "accepted": 0, "duplicate": 0, "superseded": 0, "quarantined": 2, "relabelled": 2,
    }  # fmt: skip
    assert [r["reasons"] for r in lake.quarantine.records()] == [
        ["play_has_user", "person_has_name"],
        ["level_is_known", "status_is_integer", "person_has_name"],
    ]
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_songs_that_pass_now_are_linked_to_the_plays_they_match(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.songs("s.json", [song(artist_latitude=91)])
    deliveries.logs("1.json", [play()])
    lake = open_lake("lake", deliveries)
    lake.run()
    assert rows(lake, "select song_id from gold.songplays") == [{"song_id": None}]
    monkeypatch.setitem(songs.TABLE.expectations, "latitude_is_valid", "true")
    assert retried(lake)["accepted"] == 1
    assert rows(lake, "select song_id from gold.songplays") == [{"song_id": "SONG1"}]
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_parts_of_bounded_size_give_the_same(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    chance = random.Random(3)
    levels = ["gold", "gold", "lead", "free"]
    for number in range(4):
        records = [
            play(f"2018-11-0{day} 10:00:00", sessionId=chance.randint(1, 3), level=chance.choice(levels))
            for day in range(1, 8)
        ]
        deliveries.logs(f"{number}.json", records)
    lake = open_lake("lake", deliveries, batch_bytes=4_000)
    lake.run()
    gold_is_known()
    assert min(retried(lake).values()) >= 0
    assert_as_if_always_so(open_lake, engine, lake, deliveries)
    assert lake.quarantine.retry().state is None


@long_on_spark
@pytest.mark.parametrize("seed", [pytest.param(s, marks=[pytest.mark.slow] * (s >= 1)) for s in range(20)])
def test_any_deliveries_end_as_if_the_rule_had_been_so_from_the_start(
    open_lake: OpenLake, engine: Engine, tmp_path: Path, seed: int, gold_is_known: Callable[[], None]
) -> None:
    chance = random.Random(seed)
    sources = Deliveries(tmp_path / "any")
    lake = open_lake("cut", sources, batch_bytes=chance.choice([1_500, 1_000_000]))
    changes_at = chance.randint(1, 6)
    for number in range(8):
        some = [any_record(chance) for _ in range(chance.randint(1, 6))]
        sources.logs(f"{number:03}.json", some)
        if number == changes_at:
            lake.run()
            gold_is_known()
            lake.quarantine.retry()
        elif chance.random() < 0.6:
            lake.run()
    lake.run()
    assert_as_if_always_so(open_lake, engine, lake, sources)


def any_record(chance: random.Random) -> dict[str, Any]:
    """A record out of so few keys and users that they collide all the time."""
    return event(
        f"2018-11-0{chance.randint(1, 3)} 10:00:0{chance.randint(0, 1)}",
        sessionId=chance.randint(1, 3),
        userId=chance.choice(["7", "8", "", "x"]),
        level=chance.choice(["free", "paid", "gold", "gold", "lead"]),
        page=chance.choice(["NextSong", "Home"]),
    )


@long_on_spark
def test_records_restored_away_are_judged_when_they_come_again(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    deliveries.logs("1.json", [play(level="gold"), play(userId="x")])
    lake = open_lake("lake", deliveries)
    lake.run()
    deliveries.logs("2.json", [play(level="gold", location="Paris"), play(sessionId=2, level="gold")])
    lake.run()
    lake.restore(1)
    gold_is_known()
    assert retried(lake)["accepted"] == 1
    assert rows(lake, "select location from gold.songplays") == [{"location": "London"}]
    lake.run()
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_a_retry_restored_away_leaves_the_records_in_quarantine_to_be_tried_again(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, gold_is_known: Callable[[], None]
) -> None:
    deliveries.logs("1.json", [play(level="gold"), play(userId="x")])
    lake = open_lake("lake", deliveries)
    lake.run()
    before = lake.status()["quarantine"]
    gold_is_known()
    assert retried(lake)["accepted"] == 1
    lake.restore(1)
    assert lake.status()["quarantine"] == before
    assert retried(lake)["accepted"] == 1
    assert_as_if_always_so(open_lake, engine, lake, deliveries)


@long_on_spark
def test_a_table_new_in_the_code_is_filled_first(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("1.json", [play(level="gold")])
    lake = open_lake("lake", deliveries)
    with monkeypatch.context() as without:
        fewer = {name: table for name, table in Lakehouse.tables.items() if name != "gold.time"}
        without.setattr(Lakehouse, "tables", fewer)
        lake.run()
    with pytest.raises(UsageError, match=r"gold\.time is new in the code"):
        lake.quarantine.retry()


@long_on_spark
def test_the_command_line_says_what_became_of_the_records(
    open_lake: OpenLake,
    engine: Engine,
    deliveries: Deliveries,
    gold_is_known: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliveries.logs("1.json", [play(level="gold"), play(level="lead")])
    lake = open_lake("lake", deliveries)
    lake.run()

    def said(*words: str) -> str:
        capsys.readouterr()
        options = [f"--lake={lake.settings.lake}", f"--engine={lake.settings.engine}"]
        assert main(["quarantine", "retry", *options, *words]) == 0
        return capsys.readouterr().out

    assert said() == "Nothing to do: 2 records in quarantine, judged as before.\n"
    gold_is_known()
    assert json.loads(said("--format=json")) == {
        "batch_id": 2,
        "records": {"accepted": 1, "duplicate": 0, "superseded": 0, "quarantined": 1, "relabelled": 0},
    }
    assert said("--format=csv").splitlines()[1] == ",0,0,0,1,0"
