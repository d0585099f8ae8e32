"""A lake in a bucket of a real S3 server, written by either engine."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.errors import UsageError
from runtime.settings.load import Settings
from tests.support.checkout import ROOT
from tests.support.comparing import GOLD, assert_same_tables
from tests.support.deliveries import Deliveries, event, play, song
from tests.support.s3_server import S3Server, keys, upload
from tests.support.snapshots import contents

# A whole lake through S3Proxy and a cold Spark: two minutes on two idle cores, many on a busy machine.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]
OpenLake = Callable[..., Lakehouse]


@pytest.fixture
def bucket_lake(s3: S3Server, engine: Engine, request: pytest.FixtureRequest) -> Callable[..., Lakehouse]:
    """Opens a lake in a bucket of this test's own."""
    name = f"lake-{zlib.crc32(request.node.nodeid.encode())}"
    s3.bucket(name)

    def opened(sources: Deliveries | None = None, **flags: str) -> Lakehouse:
        if sources is not None:
            flags = {"song_data": str(sources.song_data), "log_data": str(sources.log_data), **flags}
        return Lakehouse.open(lake=f"s3://{name}/some/lake", engine=engine.name, **flags)

    return opened


@pytest.mark.long_on_spark
def test_a_lake_in_a_bucket_is_the_lake_on_disk(
    s3: S3Server, bucket_lake: OpenLake, engine: Engine, dirty_sample: Path, dirty_lake: Lakehouse
) -> None:
    upload(s3.bucket("everything"), dirty_sample / "song_data", "song_data/")
    lake = bucket_lake(song_data="s3://everything/song_data", log_data=str(dirty_sample / "log_data"))
    (state,) = lake.run().states
    assert_same_tables(engine, lake, dirty_lake)
    assert lake.status() == {**dirty_lake.status(), "tables": lake.status()["tables"]}
    for name, table in lake.status()["tables"].items():
        assert table["rows"] == dirty_lake.status()["tables"][name]["rows"]
    question = (
        "select u.level, count(*) n, min(p.start_time) first from gold.songplays p "
        "join gold.users u using (user_id) group by all order by all"
    )
    assert lake.sql(question).equals(dirty_lake.sql(question))
    store = s3.bucket(lake.settings.lake.split("/")[2])
    assert not keys(store, "some/lake/_scratch")
    assert state.batch_id == 1


@pytest.mark.long_on_spark
@pytest.mark.timeout(120)
def test_a_large_batch_that_both_sources_have_rejects_in_comes_to_an_end_in_a_bucket(
    bucket_lake: OpenLake,
    engine: Engine,
    dirty_sample: Path,
    dirty_lake: Lakehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.run.steps.batch_context.SMALL_BYTES", 0)
    lake = bucket_lake(song_data=str(dirty_sample / "song_data"), log_data=str(dirty_sample / "log_data"))
    lake.run()
    assert_same_tables(engine, lake, dirty_lake)


@pytest.mark.spark_only
@pytest.mark.long_on_spark
def test_spark_and_sail_write_one_lake_in_a_bucket_and_it_is_the_lake_on_disk(
    s3: S3Server, bucket_lake: OpenLake, engine: Engine, deliveries: Deliveries, tmp_path: Path
) -> None:
    deliveries.songs("a.json", [song()])
    deliveries.logs("1.json", [play(), event("2018-11-02 11:00:00", itemInSession=1, level="paid"), "{"])
    upload(s3.bucket("both"), deliveries.log_data.parent)
    lake = bucket_lake(song_data="s3://both/song_data", log_data="s3://both/log_data")
    lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8")])
    deliveries.logs("1.json", [play(level="paid")])
    upload(s3.bucket("both"), deliveries.log_data.parent)
    run_on_sail(lake.settings)
    assert [state["engine"] for state in lake.history()] == ["spark", "sail"]
    on_disk = lake.settings.model_copy(
        update={
            "lake": str(tmp_path / "lake"),
            "song_data": str(deliveries.song_data),
            "log_data": str(deliveries.log_data),
        }
    )
    run_on_sail(on_disk)
    assert_same_tables(engine, lake, Lakehouse(on_disk), GOLD)
    users = lake.sql("select user_id, level from gold.users order by user_id").to_pylist()
    assert users == [{"user_id": 7, "level": "paid"}, {"user_id": 8, "level": "free"}]


def run_on_sail(settings: Settings) -> None:
    """A run in a process of its own: one process has one engine."""
    words = [f"--{n.replace('_', '-')}={getattr(settings, n)}" for n in ("lake", "song_data", "log_data")]
    command = [sys.executable, str(ROOT / "lakehouse.py"), "run", "--engine=sail", *words]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)


@pytest.mark.long_on_spark
def test_batches_restores_and_rebuilds_in_a_bucket_are_those_on_disk(
    bucket_lake: OpenLake, open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lakes = bucket_lake(deliveries), open_lake("disk", deliveries)
    deliveries.songs("a.json", [song()])
    deliveries.logs("1.json", [play(), event("2018-11-02 11:00:00", itemInSession=1, level="paid")])
    for lake in lakes:
        lake.run()
    deliveries.logs("2.json", [play("2018-11-03 10:00:00", sessionId=2, userId="8"), "{"])
    for lake in lakes:
        lake.run()
        lake.run(full_refresh=True)
    assert_same_tables(engine, *lakes)
    first = [lake.at(batch=1).table("gold.songplays") for lake in lakes]
    assert first[0].arrow().equals(first[1].arrow())
    assert first[0].spark().toArrow().num_rows == 1
    changes = [[list(table) for table in lake.diff(1, 2).tables.values()] for lake in lakes]
    assert changes[0] == changes[1]
    assert any(changes[0])
    assert lakes[0].trace("users", 8).as_dict() == lakes[1].trace("users", 8).as_dict()
    for lake in lakes:
        lake.restore(1)
    assert_same_tables(engine, *lakes)


@pytest.mark.long_on_spark
def test_small_files_in_a_bucket_are_merged_and_removed_but_for_pinned_batches(
    s3: S3Server, bucket_lake: OpenLake, deliveries: Deliveries
) -> None:
    lake = bucket_lake(deliveries)
    for day, level in enumerate(("free", "paid", "free"), start=1):
        deliveries.logs(f"{day}.json", [play(f"2018-11-0{day} 10:00:00", sessionId=day, level=level)])
        lake.run()
    second, third = contents(lake, 2), contents(lake)
    lake.pin(2, "kept")
    lake.optimize()
    would = lake.vacuum(history_days=0, dry_run=True)
    assert would.batches == [1, 3]
    store = s3.bucket(lake.settings.lake.split("/")[2])
    before = keys(store, "some/lake/gold")
    lake.vacuum(history_days=0)
    removed = {f"some/lake/gold/{n[5:]}/{p}" for n, f in would.files.items() if n[:5] == "gold." for p in f}
    assert removed == set(before) - set(keys(store, "some/lake/gold"))
    assert removed
    assert (contents(lake, 2), contents(lake)) == (second, third)
    assert lake.vacuum(history_days=0).is_empty


def test_what_a_killed_run_left_in_a_bucket_is_rolled_back(
    s3: S3Server, bucket_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    deliveries.logs("1.json", [play()])
    lake = bucket_lake(deliveries)
    lake.run()
    users = f"{lake.settings.lake}/gold/users"
    engine.read(users).write.format("delta").mode("append").save(users)
    obstore.put(s3.bucket(lake.settings.lake.split("/")[2]), "some/lake/_scratch/1/left.parquet", b"x")
    deliveries.logs("2.json", [play(userId="8", sessionId=2)])
    lake.run()
    assert lake.sql("select user_id from gold.users order by 1").to_pylist() == [
        {"user_id": 7},
        {"user_id": 8},
    ]
    assert not keys(s3.bucket(lake.settings.lake.split("/")[2]), "some/lake/_scratch")


@pytest.mark.long_on_spark
def test_a_query_of_a_lake_in_a_bucket_reaches_nothing_else(
    bucket_lake: OpenLake, deliveries: Deliveries
) -> None:
    deliveries.logs("1.json", [play()])
    lake = bucket_lake(deliveries)
    lake.run()
    for statement in (
        "select * from read_text('/etc/hostname')",
        f"select * from read_parquet('{lake.settings.lake}/gold/users/*.parquet')",
        "select * from 's3://other/x.parquet'",
        "copy gold.users to '/tmp/users.csv'",
    ):
        with pytest.raises(UsageError):
            lake.sql(statement)


@pytest.mark.long_on_spark
def test_doctor_finds_a_lake_in_a_bucket_as_well_as_it_is(
    bucket_lake: OpenLake, deliveries: Deliveries
) -> None:
    deliveries.logs("1.json", [play()])
    deliveries.songs("1.json", [song()])
    lake = bucket_lake(deliveries)
    lake.run()
    found = {finding.check: finding for finding in lake.doctor()}
    assert "read by Polars" in found
    read = {check: finding.mend for check, finding in found.items() if check.startswith("read by")}
    assert not any(read.values()), read


@pytest.mark.long_on_spark
def test_nothing_new_starts_no_engine_and_reading_needs_none(
    s3: S3Server, bucket_lake: OpenLake, deliveries: Deliveries, tmp_path: Path
) -> None:
    deliveries.logs("1.json", [play()])
    lake = bucket_lake(deliveries)
    lake.run()
    code = (
        "import sys; from runtime.cli.main import main; code = main(sys.argv[1:]); "
        "heavy = {'pyspark', 'pysail', 'duckdb'} & set(sys.modules); "
        "sys.exit(code or (f'imported {heavy}' if heavy else 0))"
    )
    places = [
        f"--{n.replace('_', '-')}={getattr(lake.settings, n)}" for n in ("lake", "song_data", "log_data")
    ]
    for command in ("run", "plan", "status", "history"):
        ended = subprocess.run(
            [sys.executable, "-c", code, command, "-q", "--format", "json", *places],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, ""), command
        assert json.loads(ended.stdout)
