"""Restore: the lake goes back to a batch as a whole, and the next run brings it back to where it was."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.errors import SchemaChanged, SourceError, UsageError
from runtime.table import Table
from tests.support.comparing import changed_since, versions
from tests.support.deliveries import Deliveries, event, play, song
from tests.support.lakes import two_batches
from tests.support.random_records import any_log, deliver
from tests.support.snapshots import contents

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]


def grow(chance: random.Random, sources: Deliveries) -> None:
    """Append records to a log that was delivered before."""
    logs = sorted(sources.log_data.iterdir())
    if logs:
        lines = chance.choice(logs).read_text().splitlines()
        sources.logs(chance.choice(logs).name, [*lines, any_log(chance)])


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 1)) for seed in range(20)]
)
def test_after_any_restore_the_next_run_brings_back_what_was_there(
    open_lake: OpenLake, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    sources = Deliveries(tmp_path / "any")
    batch_bytes, compact_after = chance.choice([500, 2_000, 1_000_000]), chance.choice([0, 2])
    lake = open_lake("lake", sources, batch_bytes=batch_bytes, compact_after=compact_after)
    for number in range(7):
        deliver(chance, sources, number)
        if chance.random() < 0.3:
            grow(chance, sources)
        if chance.random() < 0.7:
            lake.run()
        if chance.random() < 0.15 and number:
            lake.run()
            lake.run(full_refresh=True)
    lake.run()
    before = contents(lake)
    for _ in range(3):
        batch = chance.choice([s["batch_id"] for s in lake.history()])
        there = contents(lake, batch)
        if lake.restore(batch, dry_run=True).unavailable:
            with pytest.raises(SourceError, match="another content"):
                lake.restore(batch)
            continue
        lake.restore(batch)
        assert contents(lake) == there
        lake.run()
        assert contents(lake) == before


def test_a_restore_is_one_state_and_moves_only_tables_that_differ(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    second = two_batches(lake, deliveries)
    before, there = versions(lake), contents(lake, 1)
    done = lake.restore(1)
    assert [d.uri for d in done.new_again] == [str(second)]
    assert contents(lake) == there
    state = lake.history()[-1]
    assert (state["batch_id"], state["kind"], state["base"]) == (3, "restore", 1)
    moved = changed_since(before, lake)
    gold = {"gold.songplays", "gold.users", "gold.user_levels", "gold.time"}
    assert moved == {"bronze.log_data", "silver.events", *gold}
    assert all(versions(lake)[name] == before[name] + 1 for name in moved)
    assert [file["reason"] for file in lake.plan()["files"]] == ["listed before, not in the lake"]


def test_files_keep_their_delivery_numbers_through_a_restore(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    two_batches(lake, deliveries)
    numbers = "select distinct _source_file, _delivery from silver.events order by all"
    before = lake.sql(numbers).to_pylist()
    lake.restore(1)
    deliveries.logs("0.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8", location="Oslo")])
    lake.run()
    assert [r for r in lake.sql(numbers).to_pylist() if "0.json" not in r["_source_file"]] == before[:1]
    # Listed last, though its name comes first: the correction wins.
    assert lake.sql("select location from gold.songplays where user_id = 8").to_pylist() == [
        {"location": "Oslo"}
    ]


def test_a_lake_can_go_back_to_the_middle_of_a_large_file(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries, batch_bytes=1_500)
    records = [play(f"2018-11-02 10:00:{i:02}", itemInSession=i) for i in range(12)]
    deliveries.logs("large.json", records)
    assert len(lake.run().states) > 2
    before = contents(lake)
    done = lake.restore(2)
    assert len(done.new_again) == 1
    assert 0 < len(contents(lake)["gold.songplays"]) < 12
    assert [file["reason"] for file in lake.plan()["files"]] == ["partly taken in"]
    lake.run()
    assert contents(lake) == before


def test_a_restore_can_be_taken_back_by_another_one(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    two_batches(lake, deliveries)
    first, second = contents(lake, 1), contents(lake, 2)
    lake.restore(1)
    lake.restore(2)
    assert contents(lake) == second
    assert lake.run().as_json() == {"new_files": 0, "batches": []}
    lake.restore(3)
    assert contents(lake) == first
    assert [contents(lake, batch) for batch in (1, 2, 3, 4)] == [first, second, first, second]


def test_corrections_retractions_and_rejects_come_back_after_a_restore_across_a_full_refresh(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play(), play("2018-11-02 11:00:00", userId="8", sessionId=2)])
    lake.run()
    deliveries.logs("2.json", [event(userId="9"), play(level="gold"), "not JSON"])
    deliveries.songs("s.json", [song()])
    lake.run()
    deliveries.songs("t.json", [song(title="Corrected")])
    lake.run(full_refresh=True)
    lake.run()
    before = contents(lake)
    for batch in (1, 2, 3):
        there = contents(lake, batch)
        lake.restore(batch)
        assert contents(lake) == there
        lake.run()
        assert contents(lake) == before
        assert lake.status()["quarantine"] == {"level_is_known": 1, "record_is_json_object": 1}
    lake.run(full_refresh=True)
    assert contents(lake) == before


def test_sources_no_longer_there_are_listed_and_refused(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    second = two_batches(lake, deliveries)
    deliveries.logs("3.json", [play("2018-11-04 10:00:00", sessionId=3)])
    lake.run()
    second.unlink()
    deliveries.logs("3.json", [play("2018-11-04 10:00:00", sessionId=3), event("2018-11-05 10:00:00")])
    found = lake.restore(1, dry_run=True)
    assert [why for _, why in found.unavailable] == [
        "is no longer there",
        "holds another content than was delivered",
    ]
    with pytest.raises(SourceError, match="2 of the 2 files"):
        lake.restore(1)
    assert lake.status()["batch_id"] == 3
    assert lake.restore(1, allow_unavailable=True).state is not None
    lake.run()
    days = lake.sql("select day(event_at) d from silver.events order by 1").to_pylist()
    assert [row["d"] for row in days] == [2, 4, 5]


def test_a_touched_or_moved_source_folder_is_still_available_by_its_content(
    open_lake: OpenLake, deliveries: Deliveries, tmp_path: Path
) -> None:
    lake = open_lake("lake", deliveries)
    two_batches(lake, deliveries)
    shutil.copytree(deliveries.log_data, tmp_path / "moved", copy_function=shutil.copyfile)
    moved = Lakehouse(lake.settings.model_copy(update={"log_data": str(tmp_path / "moved")}))
    assert moved.restore(1, dry_run=True).unavailable == []
    without = Lakehouse(lake.settings.model_copy(update={"log_data": None}))
    assert "no --log-data is given" in without.restore(1, dry_run=True).unavailable[0][1]


def test_a_batch_that_does_not_exist_is_a_mistake_and_the_last_one_is_nothing_to_do(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    with pytest.raises(UsageError, match="no published batch"):
        lake.restore(1)
    assert not Path(lake.settings.lake).exists()
    two_batches(lake, deliveries)
    with pytest.raises(UsageError, match="no batch 9: the lake has batches 1 to 2"):
        lake.restore(9)
    assert lake.restore(2).state is None
    assert lake.status()["batch_id"] == 2


def test_a_lake_that_moved_on_since_it_was_looked_at_is_not_restored(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    two_batches(lake, deliveries)
    with pytest.raises(UsageError, match="batch 2 was published while"):
        lake.restore(1, since=1)


def test_a_table_newer_than_the_batch_leaves_the_lake_and_the_next_run_fills_it_again(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    with monkeypatch.context() as without:
        without.setattr(Lakehouse, "tables", {n: t for n, t in gold.TABLES.items() if n != "gold.time"})
        deliveries.logs("1.json", [play()])
        lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2)])
    lake.run()
    before = contents(lake)
    lake.restore(1)
    assert "gold.time" not in lake.status()["tables"]
    assert lake.plan()["new_tables"] == ["gold.time"]
    lake.restore(2)
    assert contents(lake) == before
    lake.restore(1)
    lake.run()
    assert contents(lake) == before
    assert contents(lake, 2) == before


def test_a_batch_of_another_schema_is_refused_with_the_way_out(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", [play()])
    lake.run()
    monkeypatch.setattr(Lakehouse, "tables", with_another_key(gold.TABLES))
    lake.run(full_refresh=True)
    with pytest.raises(SchemaChanged, match=r"gold\.users.*run --full-refresh"):
        lake.restore(1)


def with_another_key(tables: dict[str, Table]) -> dict[str, Table]:
    users: Any = tables["gold.users"]
    wider = f"{users.schema}, _note string comment 'never set'"

    def build(events: Any) -> Any:
        return users.build(events).selectExpr("*", "cast(null as string) as _note")

    return {**tables, "gold.users": replace(users, schema=wider, build=build)}
