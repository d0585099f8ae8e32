"""More than 50 states: each reads as it was, through compactions, a full refresh and a restore."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse import Lakehouse
from tests.support.deliveries import Deliveries, play
from tests.support.snapshots import Rows, contents

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long_on_spark,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.long,
]
OpenLake = Callable[..., Lakehouse]
BATCHES = 48


def deliver(deliveries: Deliveries, number: int) -> None:
    """A play of a day that others have too, by a user whose level changes each time."""
    at = f"2018-11-{1 + number % 3:02} {number % 24:02}:00:00"
    level = "paid" if number % 2 else "free"
    deliveries.logs(f"{number:03}.json", [play(at, sessionId=number, userId=str(number % 5), level=level)])


def test_every_state_reads_as_it_did_when_it_was_published(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries, compact_after=15)
    published: dict[int, dict[str, Rows]] = {}

    def remember() -> None:
        published[lake.status()["batch_id"]] = contents(lake)

    for number in range(BATCHES):
        deliver(deliveries, number)
        lake.run()
        remember()
        if number == 20:
            lake.optimize()
            remember()
        if number == 30:
            lake.run(full_refresh=True)
            remember()
        if number == 40:
            lake.restore(25)
            remember()
    states = lake.history()
    assert {"run", "optimize", "full refresh", "restore"} == {s["kind"] for s in states}
    assert len(states) > 50
    for batch, rows in published.items():
        assert contents(lake, batch) == rows, batch
        at = next(s["at"] for s in states if s["batch_id"] == batch)
        assert lake.at(as_of=at).batch_id == batch
    for batch in list(published)[::6]:
        for name in ("gold.songplays", "gold.users"):
            view = lake.at(batch=batch).table(name)
            ours, theirs = (sorted(map(str, t.to_pylist())) for t in (view.arrow(), view.spark().toArrow()))
            assert ours == theirs, (batch, name)
