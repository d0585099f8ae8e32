"""Files of random records, by a seed."""

from __future__ import annotations

import random
from typing import Any

from tests.support.deliveries import Deliveries, event, song


def any_log(chance: random.Random) -> dict[str, Any]:
    """A record with few possible keys, users and songs, so that collisions are frequent."""
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
    """Write one more file. Names increase with `number`, so that a run lists them in this order."""
    kind, make = chance.choice([(sources.logs, any_log), (sources.logs, any_log), (sources.songs, any_song)])
    kind(f"{number:03}.json", [make(chance) for _ in range(chance.randint(1, 6))])
