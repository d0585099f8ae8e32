"""A power cut: an acknowledged batch is on the disk, and what was torn counts as absent."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse import Lakehouse
from runtime.delta.durability import put_torn_aside
from runtime.errors import LakeDamaged
from tests.support.damaging import commit_file, folder
from tests.support.deliveries import Deliveries, play, song
from tests.support.power import Disk
from tests.support.scenes import OnStage, batch_of, published

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.long_on_spark]
Open = Callable[..., Lakehouse]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mounted = Disk(tmp_path / "disk")
    yield mounted
    mounted.unmount()


@pytest.mark.parametrize("seconds", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (3, 8, 20))])
def test_what_a_run_acknowledged_survives_a_power_cut(on_stage: OnStage, disk: Disk, seconds: int) -> None:
    stage, lake = on_stage("corrections"), disk.folder / "lake"
    shutil.copytree(stage.folder / "before", lake)
    assert stage.disturb(lake).code == 0
    time.sleep(seconds)
    disk.cut()
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
    assert stage.run(lake) == 0
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
    assert stage.run(lake, "verify") == 0


@pytest.mark.parametrize(
    "where",
    [
        "after Owner.commit#1",
        "after BatchContext.merge#1",
        "after Store.flush#1",
        "before Store.flush#2",
        *(
            pytest.param(where, marks=pytest.mark.slow)
            for where in ("after Owner.start#1", "before Store.flush#1", "after Store.flush#2",
                          "before Owner.release#1", "after Owner.release#1")
        ),
    ],
)  # fmt: skip
def test_a_power_cut_in_a_run_leaves_the_batch_before_or_the_whole_batch(
    on_stage: OnStage, disk: Disk, where: str
) -> None:
    stage, lake = on_stage("corrections"), disk.folder / "lake"
    shutil.copytree(stage.folder / "before", lake)
    os.sync()
    assert stage.disturb(lake, where, "cut").code == -9, where
    disk.cut()
    batch = batch_of(stage.open(lake))
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed), batch)
    assert stage.run(lake) == 0
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
    assert stage.run(lake, "verify") == 0


@pytest.fixture
def two_batches(deliveries: Deliveries, open_lake: Open) -> Lakehouse:
    lake = open_lake("lake", deliveries)
    deliveries.songs("1.json", [song(), song(song_id="SONG2", title="Sums")])
    deliveries.logs("1.json", [play()])
    lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8", song="Sums")])
    lake.run()
    return lake


def newest_commit(lake: Lakehouse, table: str) -> Path:
    return max((folder(lake, table) / "_delta_log").glob("*.json"))


@pytest.mark.parametrize("left", [0, 60])
@pytest.mark.parametrize("table", ["_ledger", "silver.events", "gold.users", "bronze.log_data"])
def test_a_torn_newest_commit_counts_as_absent_and_the_next_run_puts_it_right(
    two_batches: Lakehouse, table: str, left: int
) -> None:
    expected = published(two_batches)
    commit = newest_commit(two_batches, table)
    commit.write_bytes(commit.read_bytes()[:left])
    two_batches.run()
    assert published(two_batches) == expected
    assert two_batches.verify().ok
    assert two_batches.run().states == []


def test_a_query_never_answers_from_a_torn_table(two_batches: Lakehouse) -> None:
    newest_commit(two_batches, "gold.users").write_bytes(b"")
    with pytest.raises(LakeDamaged, match=r"gold.users has 1 rows, where 2 were published"):
        two_batches.sql("select count(*) from gold.users")


def test_commits_behind_a_torn_one_of_the_ledger_count_as_absent_too(two_batches: Lakehouse) -> None:
    expected = published(two_batches)
    commits = sorted((folder(two_batches, "_ledger") / "_delta_log").glob("*.json"))
    commits[-3].write_bytes(b"")
    two_batches.unlock(force=True)  # this process, which held the lease then, lives on
    two_batches.run()
    assert published(two_batches) == expected
    assert two_batches.verify().ok


def test_a_torn_file_of_the_ledger_takes_its_commit_away(two_batches: Lakehouse) -> None:
    expected = published(two_batches)
    newest = max(folder(two_batches, "_ledger").glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    newest.write_bytes(b"")
    assert batch_of(two_batches) == 1
    two_batches.unlock(force=True)  # this process, which held the lease then, lives on
    two_batches.run()
    assert published(two_batches) == expected


@pytest.mark.parametrize("torn", ["checkpoint", "hint", "both"])
def test_a_torn_checkpoint_is_passed_over(two_batches: Lakehouse, torn: str) -> None:
    from deltalake import DeltaTable

    expected = published(two_batches)
    ledger = folder(two_batches, "_ledger")
    DeltaTable(str(ledger)).create_checkpoint()
    if torn != "hint":
        next((ledger / "_delta_log").glob("*.checkpoint.parquet")).write_bytes(b"PAR1")
    if torn != "checkpoint":
        (ledger / "_delta_log" / "_last_checkpoint").write_bytes(b"")
    assert published(two_batches) == expected
    assert two_batches.run().states == []


def test_a_log_that_is_whole_stays_as_it_is(two_batches: Lakehouse) -> None:
    assert not put_torn_aside(str(folder(two_batches, "_ledger")), thorough=True, files=True)
    assert commit_file(two_batches, "_ledger", 0).exists()
