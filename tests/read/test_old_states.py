"""States older than 7 and 30 days: readable by us and by Spark, also after a clean-up of the logs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from pyspark.sql import SparkSession

from lakehouse import Lakehouse
from runtime.delta.store import PROPERTIES, Store
from tests.support.deliveries import Deliveries, play
from tests.support.lakes import daily
from tests.support.snapshots import contents

pytestmark = [pytest.mark.engine, pytest.mark.long]
OpenLake = Callable[..., Lakehouse]
TIMES = ("timestamp", "modificationTime", "deletionTimestamp", "createdTime")


def backdate(folder: str, days: int) -> None:
    """As if everything in a lake or table had been written that many days earlier."""
    for file in sorted(Path(folder).rglob("*")):
        if file.suffix == ".crc":
            file.unlink()  # a checksum of what is about to change
        elif file.is_file():
            if file.suffix == ".json" and file.parent.name == "_delta_log":
                actions = file.read_text().splitlines()
                file.write_text("\n".join(earlier(action, days) for action in actions))
            then = file.stat().st_mtime - days * 86_400
            os.utime(file, (then, then))


def earlier(action: str, days: int) -> str:
    """A line of the log, its instants moved."""
    parsed = json.loads(action)
    for body in parsed.values():
        for name in TIMES:
            if isinstance(body, dict) and isinstance(body.get(name), int):
                body[name] -= days * 86_400_000
    return json.dumps(parsed)


def clean_up(uri: str) -> None:
    """What a checkpoint and the clean-up of logs after it do to a table."""
    table = DeltaTable(uri)
    table.create_checkpoint()
    table.cleanup_metadata()


def uris(lake: Lakehouse) -> dict[str, str]:
    store = Store(lake.settings.lake)
    return {name: store.uri(name) for name in lake.status()["tables"]}


@pytest.mark.long_on_spark
@pytest.mark.parametrize("days", [8, 40])
def test_old_states_stay_readable_after_new_commits_and_a_clean_up_of_the_logs(
    open_lake: OpenLake, deliveries: Deliveries, days: int
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    before = [contents(lake, batch) for batch in range(1, 5)]
    for uri in uris(lake).values():
        clean_up(uri)  # a clean-up goes back to the last checkpoint that is old enough
    backdate(lake.settings.lake, days)
    deliveries.logs("5.json", [play("2018-12-01 10:00:00", sessionId=5, level="free")])
    lake.run()
    for uri in uris(lake).values():
        clean_up(uri)
    assert [contents(lake, batch) for batch in range(1, 5)] == before
    assert lake.at(batch=1).table("gold.songplays").spark().count() == 1
    lake.restore(1)
    assert contents(lake) == before[0]


@pytest.mark.long_on_spark
def test_a_pin_survives_vacuum_and_the_clean_up_of_the_logs(
    open_lake: OpenLake, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries)
    second = contents(lake, 2)
    lake.pin(2, "Q3 report")
    lake.optimize()
    for uri in uris(lake).values():
        clean_up(uri)
    backdate(lake.settings.lake, 40)
    monkeypatch.setattr("runtime.upkeep.vacuum.now", lambda: datetime.now(UTC) + timedelta(days=40))
    assert lake.vacuum(history_days=30).batches == [1, 3, 4]
    for uri in uris(lake).values():
        clean_up(uri)
    assert contents(lake, 2) == second
    plays = lake.at(batch=2).table("gold.songplays")
    assert plays.spark().count() == plays.arrow().num_rows == 2


@pytest.mark.spark_only
@pytest.mark.long_on_spark
def test_spark_reads_a_pinned_batch_by_its_versions_after_30_days_and_a_vacuum(
    open_lake: OpenLake, deliveries: Deliveries, spark: SparkSession
) -> None:
    lake = open_lake("lake", deliveries)
    daily(lake, deliveries, days=2)
    lake.pin(1, "Q3 report")
    lake.optimize()
    assert lake.vacuum(history_days=0).batches == [2]
    for uri in uris(lake).values():
        clean_up(uri)
    backdate(lake.settings.lake, 40)
    for name, version in lake.at(batch=1).versions.items():
        rows = spark.read.format("delta").option("versionAsOf", version).load(uris(lake)[name])
        assert rows.count() == len(contents(lake, 1)[name]), name


@pytest.mark.parametrize(("properties", "kept"), [({}, False), (PROPERTIES, True)], ids=["default", "ours"])
def test_it_is_our_table_properties_that_keep_the_logs(
    tmp_path: Path, properties: dict[str, str], kept: bool
) -> None:
    uri = str(tmp_path / "table")
    write_deltalake(uri, pa.table({"n": [0]}), configuration=properties)
    write_deltalake(uri, pa.table({"n": [1]}), mode="append")
    clean_up(uri)
    backdate(uri, 40)
    for n in (2, 3):
        write_deltalake(uri, pa.table({"n": [n]}), mode="append")
    clean_up(uri)
    if kept:
        assert len(DeltaTable(uri, version=0).file_uris()) == 1
    else:
        with pytest.raises(DeltaError):
            DeltaTable(uri, version=0)


@pytest.mark.spark_only
@pytest.mark.parametrize(("properties", "kept"), [({}, False), (PROPERTIES, True)], ids=["default", "ours"])
def test_our_table_properties_keep_the_logs_and_the_versions_from_spark_too(
    tmp_path: Path, spark: SparkSession, properties: dict[str, str], kept: bool
) -> None:
    uri = str(tmp_path / "table")
    write_deltalake(uri, pa.table({"n": [0]}), configuration=properties)
    write_deltalake(uri, pa.table({"n": [1]}), mode="append")
    backdate(uri, 40)
    old = spark.read.format("delta").option("versionAsOf", 0)
    if kept:
        for n in range(2, 12):  # the tenth commit checkpoints, and cleans up where it may
            spark.sql(f"insert into delta.`{uri}` values (cast({n} as bigint))")
        assert old.load(uri).count() == 1
    else:
        with pytest.raises(Exception, match="DELTA"):
            old.load(uri).count()
