"""Who was on which plan when: the same intervals in whatever order events arrive."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.run.runner import Runner
from tests.support.comparing import assert_same_tables
from tests.support.deliveries import Deliveries, event
from tests.support.rows import assert_builds, event_row, frame, utc

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]
NAME = "gold.user_levels"
Interval = tuple[int, str, Any, Any, bool]


def intervals(lake: Lakehouse) -> list[Interval]:
    """The table, in order of user and time."""
    rows = lake.sql(f"from {NAME} order by user_id, valid_from").to_pylist()
    return [tuple(row.values()) for row in rows]


def expected(lake: Lakehouse) -> list[Interval]:
    """The intervals that follow from silver.events, in plain Python."""
    levels: dict[int, dict[Any, str]] = defaultdict(dict)
    order = "event_at, session_id, item_in_session"
    for row in lake.sql(
        f"select user_id, event_at, level from silver.events where user_id is not null order by {order}"
    ).to_pylist():
        levels[row["user_id"]][row["event_at"]] = row["level"]  # the last at its instant
    found: list[Interval] = []
    for user, at_instants in sorted(levels.items()):
        stretches = [next(same) for _, same in groupby(at_instants.items(), key=lambda item: item[1])]
        for (begins, level), (ends, _) in pairwise([*stretches, (None, "")]):
            found.append((user, level, begins, ends, ends is None))
    return found


def on(day: int, *levels: str, **fields: Any) -> list[dict[str, Any]]:
    """Events of one session of a day, an hour apart from 10:00, with these levels."""
    return [
        event(
            f"2018-11-{day:02} {10 + n}:00:00",
            **{"sessionId": day, "itemInSession": n, "level": level, **fields},
        )
        for n, level in enumerate(levels)
    ]


def told(lake: Lakehouse) -> list[str]:
    """The intervals of all users as `7 free 02T10-02T11`, day and hour."""

    def instant(at: Any) -> str:
        return at.strftime("%dT%H") if at else ""

    return [f"{user} {level} {instant(a)}-{instant(b)}" for user, level, a, b, _ in intervals(lake)]


def test_stretches_of_one_level_become_half_open_intervals(engine: Engine) -> None:
    hours = enumerate(["free", "free", "paid", "free", "free"])
    events = [event_row(f"2018-11-02 1{n}:00:00", level=level) for n, level in hours]
    others = [
        event_row("2018-11-02 09:00:00", user_id=8, level="paid"),
        event_row(user_id=None, level="paid"),
    ]
    rows = [
        {"user_id": user, "level": level, "valid_from": utc(f"2018-11-02 {a}:00:00"),
         "valid_to": b and utc(f"2018-11-02 {b}:00:00"), "is_current": b is None}
        for user, level, a, b in
        [(7, "free", "10", "12"), (7, "paid", "12", "13"), (7, "free", "13", None), (8, "paid", "09", None)]
    ]  # fmt: skip
    assert_builds(engine, NAME, [frame(engine, "silver.events", [*events, *others])], rows)


def test_of_several_events_at_one_instant_the_last_in_order_says_the_level(engine: Engine) -> None:
    events = [
        event_row(level="paid", session_id=2, item_in_session=0),
        event_row(level="free", session_id=1, item_in_session=9),
        event_row("2018-11-02 11:00:00", level="free", session_id=1, item_in_session=10),
        event_row("2018-11-02 11:00:00", level="paid", session_id=1, item_in_session=11),
    ]
    only = {"user_id": 7, "level": "paid", "valid_from": utc("2018-11-02 10:00:00"), "is_current": True}
    assert_builds(engine, NAME, [frame(engine, "silver.events", events)], [only])


STORY: Sequence[tuple[str, list[dict[str, Any]], list[str], bool]] = [
    ("first seen", on(4, "free", "free"), ["7 free 04T10-"], True),
    ("the same level again", on(5, "free"), ["7 free 04T10-"], False),
    ("an upgrade", on(6, "free", "paid"), ["7 free 04T10-06T11", "7 paid 06T11-"], True),
    ("late, of the level of its time", on(3, "free") + on(7, "paid"),
     ["7 free 03T10-06T11", "7 paid 06T11-"], True),
    ("late, of another level", on(2, "paid"), ["7 paid 02T10-03T10", "7 free 03T10-06T11", "7 paid 06T11-"],
     True),
    ("the event that set an interval becomes another user's",
     [{**on(6, "free", "paid")[1], "userId": "8"}],
     ["7 paid 02T10-03T10", "7 free 03T10-07T10", "7 paid 07T10-", "8 paid 06T11-"], True),
    ("a corrected level closes the gap between two intervals", [{**on(7, "paid")[0], "level": "free"}],
     ["7 paid 02T10-03T10", "7 free 03T10-", "8 paid 06T11-"], True),
    ("a correction of something else", [{**on(7, "free")[0], "location": "Paris"}],
     ["7 paid 02T10-03T10", "7 free 03T10-", "8 paid 06T11-"], False),
]  # fmt: skip


@pytest.mark.long_on_spark
def test_an_upgrade_and_its_correction_reach_the_intervals(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    upgrade = on(6, "free", "paid", "free")
    deliveries.logs("1.json", [*on(4, "free"), *upgrade])
    lake.run()
    assert told(lake) == ["7 free 04T10-06T11", "7 paid 06T11-06T12", "7 free 06T12-"]
    deliveries.logs("2.json", [{**upgrade[1], "userId": "8"}, *on(5, "paid")])
    lake.run()
    assert told(lake) == ["7 free 04T10-05T10", "7 paid 05T10-06T10", "7 free 06T10-", "8 paid 06T11-"]


@pytest.mark.long_on_spark
def test_the_intervals_follow_every_arrival_and_are_written_only_when_they_change(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    version = 0
    for number, (what, records, after, changes) in enumerate(STORY):
        deliveries.logs(f"{number}.json", records)
        lake.run()
        assert told(lake) == after, what
        assert intervals(lake) == expected(lake), what
        assert (lake.table(NAME).version > version) == changes, what
        version = lake.table(NAME).version
    lake.run(full_refresh=True)
    assert told(lake) == STORY[-1][2]


@pytest.mark.long_on_spark
def test_an_event_in_order_costs_no_reading_of_the_days_before(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, tmp_path: Path
) -> None:
    lake = open_lake("lake", deliveries)
    # gold.users reads from the day on which its row was set, so it stays out of this.
    tables = {n: gold.TABLES[n] for n in ("bronze.song_data", "bronze.log_data", "silver.events", NAME)}
    deliveries.logs("1.json", on(2, "free", "free"))
    Runner(lake.settings, tables).run()
    day, away = Path(lake.settings.lake, "silver/events/event_date=2018-11-02"), tmp_path / "away"
    day.rename(away)
    deliveries.logs("2.json", on(9, "free", "paid") + on(9, "paid", userId="8", sessionId=20))
    Runner(lake.settings, tables).run()
    away.rename(day)
    assert told(lake) == ["7 free 02T10-09T11", "7 paid 09T11-", "8 paid 09T10-"]


@pytest.mark.long_on_spark
def test_a_lake_made_before_the_table_existed_gets_it_filled_by_the_next_run(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, tmp_path: Path
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("1.json", on(2, "free", "paid"))
    Runner(lake.settings, {n: t for n, t in gold.TABLES.items() if n != NAME}).run()
    assert lake.plan()["new_tables"] == [NAME]
    deliveries.logs("2.json", on(3, "free"))
    lake.run()
    other = open_lake("other", deliveries)
    other.run()
    assert told(lake) == ["7 free 02T10-02T11", "7 paid 02T11-03T10", "7 free 03T10-"]
    assert_same_tables(engine, lake, other, [NAME])


def any_event(chance: random.Random, latest: int) -> dict[str, Any]:
    """One of a few events of a few users on the days so far: often the latest, often a key known already."""
    day = chance.choice([latest, chance.randint(1, latest)])
    return event(
        f"2018-11-{day:02} 10:00:{chance.randint(0, 3):02}",
        sessionId=chance.randint(1, 6),
        itemInSession=chance.randint(0, 1),
        userId=chance.choice([*"12345678", ""]),
        level=chance.choice(["free", "paid"]),
        location=chance.choice(["London", "Paris"]),
    )


@pytest.mark.long_on_spark
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 1)) for seed in range(20)]
)
def test_any_history_gives_the_intervals_of_a_rebuild(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, seed: int
) -> None:
    chance = random.Random(seed)
    lake = open_lake("lake", deliveries)
    for number in range(10):
        records = [any_event(chance, 1 + number) for _ in range(chance.randint(1, 12))]
        deliveries.logs(f"{chance.choice('abc')}{number}.json", records)
        lake.run()
        assert intervals(lake) == expected(lake)
    stepwise = intervals(lake)
    lake.run(full_refresh=True)
    assert intervals(lake) == stepwise
