"""However the same deliveries are cut into runs, gold and silver are the same, corrections included."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from tests.comparing import DERIVED, assert_same_tables
from tests.deliveries import Deliveries, event, song

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]


def any_log(chance: random.Random) -> dict[str, Any]:
    """A record out of so few keys, users and songs that they collide all the time."""
    return event(
        f"2018-1{chance.choice('12')}-0{chance.randint(1, 3)} 10:00:0{chance.randint(0, 2)}",
        sessionId=chance.randint(1, 3),
        itemInSession=chance.randint(0, 1),
        userId=chance.choice(["7", "8", "9", "7", "8", "9", "", "x"]),
        level=chance.choice(["free", "paid", "free", "paid", "gold"]),
        page=chance.choice(["NextSong", "NextSong", "Home"]),
        song=chance.choice(["A", "B", "C"]),
        artist="The Engine",
        length=200.5,
    )


def any_song(chance: random.Random) -> dict[str, Any]:
    return song(
        song_id=chance.choice(["S1", "S2", "S3"]),
        title=chance.choice(["A", "B", "C", ""]),
        artist_id=chance.choice(["R1", "R2"]),
        year=chance.choice([0, 1999]),
        artist_location=chance.choice(["", "London"]),
    )


def deliver(chance: random.Random, sources: Deliveries, number: int) -> None:
    """One more file; names go up with time, so that one run lists them in the same order."""
    kind, make = chance.choice([(sources.logs, any_log), (sources.logs, any_log), (sources.songs, any_song)])
    kind(f"{number:03}.json", [make(chance) for _ in range(chance.randint(1, 6))])


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 2)) for seed in range(20)]
)
def test_the_same_deliveries_cut_differently_give_the_same_tables(
    open_lake: OpenLake, engine: Engine, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    sources = Deliveries(tmp_path / "any")
    lake = open_lake("cut", sources, batch_bytes=chance.choice([600, 2_000, 1_000_000]))
    for number in range(8):
        deliver(chance, sources, number)
        if chance.random() < 0.6:
            lake.run()
    lake.run()
    whole = open_lake("whole", sources)
    whole.run()
    assert_same_tables(engine, lake, whole, DERIVED)
    lake.run(full_refresh=True)
    assert_same_tables(engine, lake, whole, DERIVED)
