"""Lakes of a few batches."""

from __future__ import annotations

from pathlib import Path

from lakehouse import Lakehouse
from tests.support.deliveries import Deliveries, play, song


def two_batches(lake: Lakehouse, deliveries: Deliveries) -> Path:
    """Publish two batches. Returns the file of the second."""
    deliveries.songs("s.json", [song(title="Other")])
    deliveries.logs("1.json", [play()])
    lake.run()
    second = deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8")])
    lake.run()
    return second


def daily(lake: Lakehouse, deliveries: Deliveries, days: int = 4) -> None:
    """Publish one batch a day, each with one play and a change of the user's level."""
    for day in range(1, days + 1):
        level = "paid" if day % 2 else "free"
        deliveries.logs(f"{day}.json", [play(f"2018-11-0{day} 10:00:00", sessionId=day, level=level)])
        lake.run()
