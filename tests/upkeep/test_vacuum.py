"""Vacuum and pins: what is removed, what stays readable, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lakehouse
from runtime.errors import UsageError
from runtime.ledger.facts import Facts, State
from runtime.upkeep.vacuum import kept_states
from tests.support.deliveries import Deliveries, play
from tests.support.lakes import daily
from tests.support.snapshots import contents

pytestmark = pytest.mark.engine
OpenLake = Callable[..., Lakehouse]


def on_disk(lake: Lakehouse) -> set[str]:
    """The data files of all tables."""
    found = Path(lake.settings.lake).rglob("*.parquet")
    return {str(f) for f in found if "_delta_log" not in f.parts and "_ledger" not in f.parts}


def spark_rows(lake: Lakehouse, batch: int, name: str) -> int:
    return lake.at(batch=batch).table(name).spark().count()


@pytest.mark.long_on_spark
def test_a_pinned_batch_survives_every_vacuum(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    second, fourth = contents(lake, 2), contents(lake, 4)
    lake.pin(2, "Q3 report")
    lake.optimize()
    done = lake.vacuum(history_days=0)
    assert done.batches == [1, 3, 4]
    assert contents(lake, 2) == second
    assert contents(lake) == fourth
    assert spark_rows(lake, 2, "gold.songplays") == 2
    for batch in (1, 3, 4):
        with pytest.raises(UsageError, match=f"Batch {batch} was vacuumed at .* Readable are .* 2, 5"):
            lake.at(batch=batch)
    lake.run(full_refresh=True)
    lake.vacuum(history_days=0)
    assert contents(lake, 2) == second
    assert contents(lake) == fourth
    lake.restore(2)
    assert contents(lake) == second
    lake.run()
    assert contents(lake) == fourth
    assert lake.vacuum(history_days=0).batches == [6]  # 7 reads what the pinned batch reads
    assert lake.vacuum(history_days=0).is_empty


@pytest.mark.long_on_spark
def test_without_history_days_only_what_a_killed_run_left_is_removed(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    before, files = [contents(lake, batch) for batch in range(1, 5)], on_disk(lake)
    deliveries.logs("5.json", [play("2018-11-05 10:00:00", sessionId=5)])
    with monkeypatch.context() as killed:
        killed.setattr("runtime.run.runner.Runner._commit", cut_off)
        with pytest.raises(KeyboardInterrupt):
            lake.run()
    rubbish = on_disk(lake) - files
    found = lake.vacuum(dry_run=True)
    assert rubbish
    assert sum(map(len, found.files.values())) == len(rubbish)
    assert on_disk(lake) == files | rubbish
    assert lake.vacuum().batches == []
    assert on_disk(lake) == files
    assert [contents(lake, batch) for batch in range(1, 5)] == before
    assert len(lake.run().states) == 1


@pytest.mark.long_on_spark
def test_a_vacuum_cut_off_has_said_what_is_lost_and_the_next_one_finishes(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    now = contents(lake)
    with monkeypatch.context() as killed:
        killed.setattr("runtime.upkeep.vacuum.remove", cut_off)
        with pytest.raises(KeyboardInterrupt):
            lake.vacuum(history_days=0)
    with pytest.raises(UsageError, match="was vacuumed"):
        lake.at(batch=1)
    rest = lake.vacuum(history_days=0)
    assert rest.batches == []
    assert not rest.is_empty
    assert contents(lake) == now


def cut_off(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.long_on_spark
def test_what_was_vacuumed_is_neither_restored_nor_pinned_nor_read_by_time(
    open_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    first = lake.history()[0]
    lake.vacuum(history_days=0)
    for attempt in (
        lambda: lake.restore(1),
        lambda: lake.pin(1, "late"),
        lambda: lake.at(as_of=first["at"]),
    ):
        with pytest.raises(UsageError, match="Batch 1 was vacuumed"):
            attempt()
    states = lake.history()
    assert [s["vacuumed_at"] is not None for s in states] == [True, True, True, False]


@pytest.mark.long_on_spark
def test_a_pin_can_be_renamed_and_taken_away(open_lake: OpenLake, deliveries: Deliveries) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    lake.pin(2, "draft")
    lake.pin(2, "Q3 report")
    lake.pin(3, "audit")
    assert [s["pinned"] for s in lake.history()] == [None, "Q3 report", "audit", None]
    assert lake.upkeep()["pins"] == {2: "Q3 report", 3: "audit"}
    assert lake.unpin(2) == "Q3 report"
    with pytest.raises(UsageError, match=r"batch 2 is not pinned\. Pinned: 3"):
        lake.unpin(2)
    with pytest.raises(UsageError, match="There is no batch 9"):
        lake.pin(9, "none")
    assert lake.vacuum(history_days=0).batches == [1, 2]


@pytest.mark.long_on_spark
def test_history_days_keeps_what_a_reader_could_ask_for_in_that_time() -> None:
    today = datetime.now(UTC)
    ages = {1: 40, 2: 20, 3: 9, 4: 6, 5: 1}
    known = Facts({}, tuple(state(batch, today - timedelta(days=age)) for batch, age in ages.items()), {})
    assert ids(kept_states(known, None)) == [1, 2, 3, 4, 5]
    assert ids(kept_states(known, 7)) == [3, 4, 5]  # batch 3 was current until batch 4 came
    assert ids(kept_states(known, 0)) == [5]
    assert ids(kept_states(known, 365)) == [1, 2, 3, 4, 5]
    pinned = Facts({}, known.states, {}, pins={1: "kept"}, vacuumed={2: today})
    assert ids(kept_states(pinned, 7)) == [1, 3, 4, 5]


def state(batch: int, at: datetime) -> State:
    return State(batch, "run", batch - 1 or None, at.isoformat(), {})


def ids(states: list[State]) -> list[Any]:
    return [s.batch_id for s in states]
