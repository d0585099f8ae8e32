"""Compaction: fewer files, the same rows, and every older batch as readable as before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deltalake import CommitProperties

import gold
from lakehouse import Lakehouse
from runtime.delta.store import Store, file_list
from runtime.delta.versions import TableVersions
from runtime.errors import Fenced, UsageError
from tests.support.deliveries import Deliveries, play, song
from tests.support.snapshots import contents

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]


def hourly(lake: Lakehouse, deliveries: Deliveries, hours: int) -> None:
    """A small batch an hour, all of one day."""
    for hour in range(hours):
        deliveries.logs(
            f"{hour:02}.json", [play(f"2018-11-02 {hour:02}:00:00", sessionId=hour, userId=str(hour))]
        )
        deliveries.songs(f"{hour:02}.json", [song(song_id=f"S{hour}", title=f"T{hour}")])
        lake.run()


def kinds(lake: Lakehouse) -> list[str]:
    return [state["kind"] for state in lake.history()]


@pytest.mark.long_on_spark
def test_optimize_leaves_few_files_the_same_rows_and_older_batches_readable(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    hourly(lake, deliveries, 2)
    before = [contents(lake, batch) for batch in (1, 2)]
    done = lake.optimize()
    assert done.state is not None
    assert kinds(lake)[-1] == "optimize"
    assert {n: t["files"] for n, t in lake.status()["tables"].items() if t["rows"]} == {
        name: 1 for name, rows in before[-1].items() if rows
    }
    assert [contents(lake, batch) for batch in (1, 2, 3)] == [*before, before[-1]]
    plays = lake.at(batch=1).table("gold.songplays")
    assert plays.spark().count() == plays.arrow().num_rows == 1
    assert lake.optimize().state is None
    assert lake.run().as_json() == {"new_files": 0, "batches": []}


@pytest.mark.long_on_spark
def test_layers_and_tables_can_be_named(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    hourly(lake, deliveries, 2)
    before = lake.status()["tables"]
    lake.optimize("silver", "gold.users")
    moved = {n for n, t in lake.status()["tables"].items() if t["version"] != before[n]["version"]}
    assert moved == {"silver.events", "silver.songs", "gold.users"}
    with pytest.raises(UsageError, match=r"no layer or table 'gold.user'; did you mean gold\.users"):
        lake.optimize("gold.user")


@pytest.mark.long_on_spark
def test_a_run_merges_small_files_once_too_many_have_gathered(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries, compact_after=2)
    hourly(lake, deliveries, 2)
    assert kinds(lake) == ["run", "run"]
    deliveries.logs("02.json", [play("2018-11-02 02:00:00", sessionId=2, userId="2")])
    before = lake.status()["tables"]
    report = lake.run()
    assert [batch["batch_id"] for batch in report.as_json()["batches"]] == [3]
    assert kinds(lake)[2:] == ["run", "optimize"]
    after = lake.status()["tables"]
    assert after["gold.songplays"]["files"] == 1
    assert after["gold.songs"] == before["gold.songs"]  # only two files of songs: not worth it
    assert contents(lake, 3) == contents(lake)


@pytest.mark.long_on_spark
@pytest.mark.parametrize("off", ["0", "null"])
def test_the_setting_turns_automatic_compaction_off(
    open_lake: OpenLake, deliveries: Deliveries, off: str
) -> None:
    lake = open_lake("lake", deliveries, compact_after=off)
    hourly(lake, deliveries, 3)
    assert kinds(lake) == ["run"] * 3


@pytest.mark.long_on_spark
def test_days_with_a_file_each_are_not_taken_for_small_files_to_merge(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries, compact_after=2)
    for day in range(1, 5):
        deliveries.logs("all.json", [play(f"2018-11-0{d} 10:00:00", sessionId=d) for d in range(1, day + 1)])
    lake.run()
    assert lake.status()["tables"]["silver.events"]["files"] == 4
    assert kinds(lake) == ["run"]


@pytest.mark.long_on_spark
def test_the_automatic_compaction_leaves_large_files_alone(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries, compact_after=2)
    first = [play(f"2018-11-02 00:{n // 60:02}:{n % 60:02}", itemInSession=n) for n in range(900)]
    deliveries.logs("first.json", [{**p, "userAgent": str(n**9) * 20} for n, p in enumerate(first)])
    lake.run()
    (large,) = files(lake, "bronze.log_data")
    size = lake.status()["tables"]["bronze.log_data"]["bytes"]
    monkeypatch.setattr("runtime.run.compact.MIDDLING", size - 1)
    hourly(lake, deliveries, 3)
    assert "optimize" in kinds(lake)
    assert large in files(lake, "bronze.log_data")
    assert len(files(lake, "bronze.log_data")) == 2


def files(lake: Lakehouse, name: str) -> list[str]:
    table = Store(lake.settings.lake).open(name)
    assert table is not None
    return list(file_list(table)["path"])


@pytest.mark.long_on_spark
def test_a_compaction_beside_a_foreign_write_is_not_published(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    hourly(lake, deliveries, 2)
    store = Store(lake.settings.lake)
    users, foreign = store.open("gold.users"), store.open("gold.users")
    assert users is not None
    assert foreign is not None
    heads = TableVersions(store, [gold.TABLES["gold.users"]], {"gold.users": users})
    foreign.delete("user_id = 1", commit_properties=CommitProperties())
    with pytest.raises(Fenced, match="someone else wrote"):
        heads.compact("gold.users", 1_000_000, None)
    lake.optimize()
    assert [row[0] for row in contents(lake)["gold.users"]] == [0, 1]
