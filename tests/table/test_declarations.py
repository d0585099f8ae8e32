"""A wrong declaration is refused before anything is written, with the nearest right name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gold
from gold import songplays, time, user_levels, users
from lakehouse import Lakehouse
from runtime.errors import DeclarationError
from runtime.table import Fold, Lookup, Merge, Periods, Table
from runtime.table.checks import check_declarations
from silver import events, songs
from tests.support.deliveries import Deliveries, play, song
from tests.support.scenes import published

Open = Callable[..., Lakehouse]

FOLD, PERIODS = users.TABLE.inputs[0], user_levels.TABLE.inputs[0]
assert isinstance(FOLD, Fold)
assert isinstance(PERIODS, Periods)
LOOKUP = Lookup(songs.TABLE, ours=("song",), theirs=("title",))


def with_table(table: Table) -> dict[str, Table]:
    return {**gold.TABLES, table.name: table}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (replace(time.TABLE, partition_by=("yaer",)), "gold.time: partition_by: 'yaer'.*mean year"),
        (replace(users.TABLE, write=Merge(key=("user_ids",))), "gold.users: key: 'user_ids'.*mean user_id"),
        (replace(users.TABLE, write=Merge(("user_id",), ("_seen",))), "newest_by: '_seen'.*mean _seen_at"),
        (replace(users.TABLE, write=Merge(("gender",))), "key: gender may be NULL"),
        (replace(users.TABLE, inputs=(replace(FOLD, key=("usr_id",)),)), "Fold.key: 'usr_id'.*silver.events"),
        (replace(users.TABLE, inputs=(replace(FOLD, key=("user_id", "level")),)), "names 2 key columns"),
        (replace(users.TABLE, inputs=(replace(FOLD, since=("date", "x")),)), "Fold.since: 'date'"),
        (replace(users.TABLE, inputs=(replace(FOLD, made_by=(("seen", "event_at"),)),)), "made_by: 'seen'"),
        (replace(users.TABLE, inputs=(FOLD, LOOKUP)), "gold.users: inputs: Fold takes no Lookup"),
        (
            replace(songplays.TABLE, inputs=(songplays.TABLE.inputs[0], replace(LOOKUP, theirs=("titel",)))),
            "Lookup.theirs: 'titel' is not among the columns of silver.songs; did you mean title",
        ),
        (
            replace(songplays.TABLE, inputs=(songplays.TABLE.inputs[0], replace(LOOKUP, ours=("tune",)))),
            "Lookup.ours: 'tune' is not among the columns of silver.events",
        ),
        (replace(user_levels.TABLE, inputs=(replace(PERIODS, ends="until"),)), "Periods.*'until'"),
        (replace(songplays.TABLE, references={"usr_id": "gold.users"}), "references: 'usr_id'"),
        (replace(events.TABLE, partition_by=("event_day",)), "silver.events: partition_by: 'event_day'"),
    ],
)
def test_a_name_that_does_not_exist_is_refused(table: Table, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        check_declarations(with_table(table))


def test_the_tables_of_the_lake_are_declared_right() -> None:
    check_declarations(gold.TABLES)


def test_all_problems_are_listed_at_once() -> None:
    wrong = replace(time.TABLE, partition_by=("yaer",), write=Merge(("start",)))
    with pytest.raises(DeclarationError, match=r"(?s)partition_by.*key: 'start'"):
        check_declarations(with_table(wrong))


@pytest.fixture
def sources(deliveries: Deliveries) -> Deliveries:
    deliveries.songs("1.json", [song()])
    deliveries.logs("1.json", [play(), play("2018-11-03 10:00:00", sessionId=2, userId="8")])
    return deliveries


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[[Table], None]:
    """Puts a table in the place of the one of its name."""

    def declared(table: Table) -> None:
        monkeypatch.setitem(gold.TABLES, table.name, table)

    return declared


def without_level(events: Any) -> Any:
    return users.build(events).drop("level")


def without_a_column_it_reads(events: Any) -> Any:
    return events.selectExpr("user_id", "frist_name")


def as_an_array(events: Any) -> Any:
    return users.build(events).selectExpr("*", "array(first_name) as names").drop("first_name").selectExpr(
        "names as first_name", "*"
    )  # fmt: skip


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (without_level, r"test_declarations\.py:\d+: gold.users: build gives no column 'level'"),
        (without_a_column_it_reads, r"gold.users: .*frist_name.* Look at .*test_declarations\.py:\d+"),
        (as_an_array, r"gold.users: build gives first_name as array<string>, the schema says string"),
    ],
)
def test_what_build_makes_is_checked_before_the_first_write(
    sources: Deliveries, open_lake: Open, declare: Callable[[Table], None], build: Any, problem: str
) -> None:
    declare(replace(users.TABLE, build=build))
    lake = open_lake("lake", sources)
    with pytest.raises(DeclarationError, match=rf"(?s){problem}"):
        lake.run()
    assert not Path(lake.settings.lake, "gold").exists()
    assert not Path(lake.settings.lake, "bronze").exists()


def twice(events: Any) -> Any:
    rows = users.build(events)
    return rows.unionByName(rows.selectExpr("*").drop("level").selectExpr("*", "'both' as level"))


@pytest.mark.engine
@pytest.mark.long_on_spark
@pytest.mark.parametrize("changed", [{"build": twice}], ids=["users"])
def test_two_rows_of_one_key_stop_the_run_and_name_the_key(
    sources: Deliveries, open_lake: Open, declare: Callable[[Table], None], changed: Mapping[str, Any]
) -> None:
    lake = open_lake("lake", sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(gold.TABLES, "gold.users", replace(users.TABLE, **changed))
        with pytest.raises(DeclarationError, match=r"gold.users: build gives two rows for user_id = [78]"):
            lake.run()
    lake.run()
    expected = open_lake("expected", sources)
    expected.run()
    assert published(lake) == published(expected)


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_two_rows_of_one_key_in_a_later_batch_stop_the_run_too(sources: Deliveries, open_lake: Open) -> None:
    lake = open_lake("lake", sources)
    lake.run()
    sources.logs("2.json", [play("2018-11-05 10:00:00", sessionId=3, userId="7", level="paid")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(gold.TABLES, "gold.users", replace(users.TABLE, build=twice))
        with pytest.raises(DeclarationError, match=r"gold.users: build gives two rows"):
            lake.run()
    assert lake.at().batch_id == 1
