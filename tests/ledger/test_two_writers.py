"""Several writers on one lake: one works at a time, and whatever another commits is found and undone."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lakehouse import Lakehouse
from runtime.ledger.lease import Owner, claim, is_held
from runtime.ledger.ledger import Ledger
from runtime.run import runner
from tests.support.deliveries import Deliveries, play
from tests.support.scenes import ON_BOTH, OnStage, Stage, batch_of, in_slow, published

pytestmark = pytest.mark.long


# Where it is no longer too early, and not yet too late, for another writer to be in the way.
EARLY = ("before Owner.commit#2", "after Store.clear_scratch#1")
WRITING = (
    "after BatchContext.append#1",
    "before BatchContext.merge#1",
    "after TableVersions.wrote#6",
    "before TableVersions.check#1",
)
LATE = ("after TableVersions.check#1", "before Owner.release#1")
SHORT = "--set=lease_seconds=1"


def wait_until_free(lake: Path) -> None:
    while is_held(Ledger(f"{lake}/_ledger").lease()):
        time.sleep(0.05)


def assert_whole(stage: Stage, lake: Path) -> None:
    """A reader sees what an undisturbed run gives."""
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))


def assert_the_next_run_leaves_nothing_over(stage: Stage, lake: Path) -> None:
    assert stage.run(lake) == 0
    assert_whole(stage, lake)
    assert stage.open(lake).plan()["unpublished"] == []


@pytest.mark.parametrize(
    "number", [pytest.param(3, marks=pytest.mark.essential), pytest.param(6, marks=pytest.mark.slow)]
)
def test_of_runs_started_together_one_works_and_the_others_say_who(on_stage: OnStage, number: int) -> None:
    stage = on_stage("corrections")
    lake = stage.lake(f"started together {number}")
    runs = [stage.start(lake) for _ in range(number)]
    ended = [run.wait() for run in runs]
    assert {e.code for e in ended} <= {0, 4}
    assert any(e.code == 0 for e in ended)
    for refused in (e.err for e in ended if e.code == 4):
        assert re.search(rf"held by `run`, process ({'|'.join(str(run.pid) for run in runs)}) on", refused)
    assert_whole(stage, lake)
    assert batch_of(stage.open(lake)) == batch_of(stage.open(stage.undisturbed))


def test_what_another_run_took_in_before_we_had_the_lease_is_not_taken_in_again(
    deliveries: Deliveries, open_lake: Callable[..., Lakehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries.logs("a.json", [play()])

    def claimed_late(*claimed: Any) -> AbstractContextManager[Owner]:
        monkeypatch.setattr(runner, "claim", claim)
        open_lake("shared", deliveries).run()
        return claim(*claimed)

    monkeypatch.setattr(runner, "claim", claimed_late)
    lake = open_lake("shared", deliveries)
    assert lake.run().states == []
    assert [state["batch_id"] for state in lake.history()] == [1]
    assert lake.table("gold.songplays").arrow().num_rows == 1


@pytest.mark.parametrize("where", in_slow(*EARLY, *WRITING, *LATE, but="before BatchContext.merge#1"))
def test_a_run_paused_past_its_lease_publishes_nothing_and_is_rolled_back(
    on_stage: OnStage, where: str
) -> None:
    stage = on_stage("corrections")
    lake = stage.lake(f"paused {where}")
    paused = stage.start(lake, where, "pause", SHORT)
    assert paused.wait_until_paused()
    wait_until_free(lake)
    assert stage.run(lake) == 0
    assert_whole(stage, lake)
    paused.signal(signal.SIGCONT)
    ended = paused.wait()
    late = where == "before Owner.release#1"
    assert ended.code == (0 if late else 3), ended.err
    assert late or "took over the lease" in ended.err or "someone else wrote to it" in ended.err
    assert_whole(stage, lake)
    assert_the_next_run_leaves_nothing_over(stage, lake)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("after Store.clear_scratch#1", "after BatchContext.keep#2"),
        pytest.param("before BatchContext.append#1", "before TableVersions.check#1", marks=pytest.mark.slow),
        pytest.param("before BatchContext.merge#1", "before BatchContext.merge#1", marks=pytest.mark.slow),
        pytest.param("before DeltaTable.restore#1", "after BatchContext.append#2", marks=pytest.mark.slow),
        pytest.param("before Store.clear_scratch#1", "before BatchContext.merge#2", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_wakes_up_while_another_works_harms_nothing(
    on_stage: OnStage, first: str, second: str
) -> None:
    stage = on_stage("corrections")
    lake = stage.lake(f"woken {first}, {second}")
    assert stage.disturb(lake, "after BatchContext.merge#1").code == -signal.SIGKILL  # something to roll back
    sleeper = stage.start(lake, first, "pause", SHORT)
    assert sleeper.wait_until_paused()
    wait_until_free(lake)
    worker = stage.start(lake, second, "pause")
    assert worker.wait_until_paused()
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait().code == 3
    worker.signal(signal.SIGCONT)
    assert worker.wait().code in (0, 3)
    assert_readers_see_a_published_batch(stage, lake)
    assert_the_next_run_leaves_nothing_over(stage, lake)


@pytest.mark.parametrize("where", in_slow(*EARLY, *WRITING, *LATE, but="after TableVersions.wrote#6"))
def test_what_a_stranger_writes_is_found_and_undone(on_stage: OnStage, where: str) -> None:
    stage = on_stage("corrections")
    lake = stage.lake(f"stranger {where}")
    before = batch_of(stage.open(lake))
    ended = stage.disturb(lake, where, "stranger")
    if where in WRITING:
        assert (ended.code, batch_of(stage.open(lake))) == (3, before)
        assert "someone else wrote to it" in ended.err
    elif where in LATE:
        assert ended.code == 0, ended.err
        assert stage.open(lake).plan()["unpublished"] == ["gold.users", "gold.songs"]
    assert_readers_see_a_published_batch(stage, lake)
    assert_the_next_run_leaves_nothing_over(stage, lake)


def test_a_stranger_who_writes_while_tables_are_put_back_is_found(
    on_stage: OnStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = on_stage("corrections")
    lake = stage.lake("stranger in the rollback")
    assert stage.disturb(lake, "before TableVersions.check#1").code == -signal.SIGKILL
    restore = DeltaTable.restore

    def disturbed(table: DeltaTable, *positional: Any, **named: Any) -> Any:
        rows = QueryBuilder().register("t", table).execute("select * from t").read_all()
        write_deltalake(table.table_uri, rows, mode="append")
        return restore(table, *positional, **named)

    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "restore", disturbed)
        assert stage.run(lake) == 3
    assert_readers_see_a_published_batch(stage, lake)
    assert_the_next_run_leaves_nothing_over(stage, lake)


def assert_readers_see_a_published_batch(stage: Stage, lake: Path) -> None:
    opened = stage.open(lake)
    assert published(opened) == published(stage.open(stage.undisturbed), batch_of(opened))


@pytest.mark.parametrize(
    ("what", "code"),
    [pytest.param("interrupt", 130, marks=ON_BOTH), pytest.param("terminate", 143, marks=pytest.mark.slow)],
)
def test_a_signal_in_mid_run_releases_the_lease_and_the_next_run_is_right(
    on_stage: OnStage, what: str, code: int
) -> None:
    stage = on_stage("corrections")
    lake = stage.lake(what)
    ended = stage.disturb(lake, "after BatchContext.merge#1", what)
    assert ended.code == code, ended.err
    assert ended.err.endswith("the lake stays as last published.\n")
    assert (Ledger(f"{lake}/_ledger").lease() or {})["released"]
    assert_the_next_run_leaves_nothing_over(stage, lake)


def test_a_lease_is_taken_from_a_run_that_commits_all_the_time(on_stage: OnStage) -> None:
    stage = on_stage("corrections")
    lake = stage.lake("forced")
    held = stage.start(lake, "after Owner.start#1", "pause")
    assert held.wait_until_paused()
    assert stage.run(lake, "unlock") == 4
    assert stage.run(lake, "unlock", "--force") == 0
    held.signal(signal.SIGCONT)
    assert held.wait().code == 3
    assert_the_next_run_leaves_nothing_over(stage, lake)
