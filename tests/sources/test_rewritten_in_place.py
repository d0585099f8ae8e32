"""Files that a producer rewrites in their place: no correction is lost, and no torn content is published."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.sources.local_disk import SECOND, seconds_to_settle
from tests.support.comparing import rows
from tests.support.deliveries import Deliveries, event

OpenLake = Callable[..., Lakehouse]
RECORDS = 200


@pytest.fixture
def coarse_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that counts whole seconds."""

    class Coarse:
        def __init__(self, status: os.stat_result) -> None:
            self.st_size, self.st_mode = status.st_size, status.st_mode
            self.st_mtime_ns = status.st_mtime_ns // SECOND * SECOND
            self.st_ctime_ns = status.st_ctime_ns // SECOND * SECOND

    coarse = SimpleNamespace(**{**vars(os), "stat": lambda path: Coarse(Path(path).stat())})
    monkeypatch.setattr("runtime.sources.local_disk.os", coarse)


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_a_correction_within_the_same_second_is_taken_in_where_times_are_whole_seconds(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, coarse_clock: None
) -> None:
    lake = open_lake("lake", deliveries)
    for place in ("Oslo", "Rome", "Bern"):
        deliveries.logs("day.json", [event(location=place)])
        lake.run()
        assert rows(lake, "select location from silver.events") == [{"location": place}]


@pytest.mark.parametrize(
    ("changed", "now", "seconds"),
    [
        (1_000 * SECOND, 1_000.4, 3.6),  # even: the tick may be two seconds
        (1_001 * SECOND, 1_001.5, 1.5),
        (1_001 * SECOND, 1_003.0, 0),
        (1_001 * SECOND, 900.0, 2),  # the disk's clock is ahead of ours
        (1_001 * SECOND + 1, 1_001.0, 0.02),
        (1_001 * SECOND + 1, 1_001.5, 0),
    ],
)
def test_the_wait_for_a_signature_is_two_ticks_of_the_disks_clock(
    changed: int, now: float, seconds: float
) -> None:
    assert seconds_to_settle(f"5:{changed - 7}:{changed}", now) == pytest.approx(seconds, abs=1e-6)


def text_of(version: int) -> str:
    """A content whose records all say which one it is; all contents are of one size."""
    records = [event(sessionId=n, location=f"{version:09}") for n in range(RECORDS)]
    return "".join(json.dumps(record) + "\n" for record in records)


@contextmanager
def rewritten(path: Path) -> Iterator[None]:
    """The file is written again and again in its place, in small pieces, while the block runs."""
    ended = threading.Event()

    def write() -> None:
        version = 1
        while not ended.is_set():
            version += 1
            text = text_of(version).encode()
            with path.open("r+b", buffering=0) as file:
                for begin in range(0, len(text), 997):
                    file.write(text[begin : begin + 997])
            ended.wait(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_what_is_published_of_a_file_rewritten_in_place_is_one_of_its_contents(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    path = deliveries.log_data / "day.json"
    path.write_text(text_of(1))
    lake = open_lake("lake", deliveries)
    lake.run()
    with rewritten(path):
        for _ in range(6):
            lake.run()
    lake.run()
    torn: list[dict[str, Any]] = rows(
        lake,
        "select _delivery, count(*) n, count(distinct raw ->> '$.location') v from bronze.log_data "
        f"group by 1 having n <> {RECORDS} or v <> 1",
    )
    assert torn == []
    assert lake.verify().ok
