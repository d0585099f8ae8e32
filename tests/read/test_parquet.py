"""A table as Arrow: from its files the same as through DuckDB, which reads those that hold other types."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import Lakehouse
from runtime.errors import UsageError
from runtime.read.arrow import rows_of
from runtime.read.query import closed_connection
from runtime.read.snapshot import Files, select_rows
from runtime.table import Merge, Table

SCHEMA = "id bigint, text string, at timestamp, share double, is_new boolean, day_date date, year int"
AT = datetime(2018, 11, 2, 3, 4, 5, 678901, tzinfo=UTC)
COLUMNS: dict[str, Any] = {
    "id": pa.array([1, None, 3]),
    "text": pa.array(["é", None, ""]),
    "at": pa.array([AT, None, AT], pa.timestamp("us", tz="UTC")),
    "share": pa.array([0.5, None, float("inf")]),
    "is_new": pa.array([True, None, False]),
    "day_date": pa.array([date(2018, 11, 2), None, date(1, 1, 1)]),
}
STORED = frozenset(COLUMNS) | {"year"}


def declared(schema: str = SCHEMA) -> Table:
    by = ("year",) if "year int" in schema else ()
    return Table("gold.things", "one row per thing", (), lambda: None, Merge(("id",)), schema, by)  # type: ignore[arg-type, return-value]


def written(folder: Path, name: str = "a.parquet", **changed: Any) -> str:
    to = folder / "year=2018" / name
    to.parent.mkdir(parents=True, exist_ok=True)
    columns = {k: v for k, v in {**COLUMNS, **changed}.items() if v is not None}
    pq.write_table(pa.table(columns), to, row_group_size=2, use_deprecated_int96_timestamps="int96" in name)
    return str(to)


def through_duckdb(table: Table, *uris: str) -> pa.Table:
    lake = str(Path(uris[0]).parent.parent)
    select = select_rows(table, Files(uris, STORED))
    return closed_connection(lake, {}).sql(select).to_arrow_table()


@pytest.mark.engine
def test_every_table_is_the_same_from_its_files_and_through_duckdb(dirty_lake: Lakehouse) -> None:
    now = dirty_lake.at()
    read = set()
    for name in now.versions:
        view, files = now.table(name), now.files(name)
        expected = view.duckdb().to_arrow_table()
        assert view.arrow().schema.equals(expected.schema, check_metadata=True)
        assert view.arrow().equals(expected)
        if rows_of(view.table, files.uris, files.columns) is not None:
            read.add(name)
    assert set(now.versions) - read == {"silver.quarantine"}  # it has an array


@pytest.mark.engine
def test_a_partition_is_read_alone(dirty_lake: Lakehouse) -> None:
    events, plays = dirty_lake.table("silver.events"), dirty_lake.table("gold.songplays")
    days = events.duckdb().aggregate("event_date, count(*)").fetchall()
    assert len(days) > 1
    for day, count in days:
        assert events.arrow(event_date=day).num_rows == events.arrow(event_date=str(day)).num_rows == count
        assert set(events.arrow(event_date=day).column("event_date").to_pylist()) == {day}
    ((year, month),) = plays.duckdb().aggregate("year, month").fetchall()
    assert plays.arrow(year=year, month=month).equals(plays.arrow())
    assert plays.arrow(month=month).equals(plays.arrow())
    assert plays.arrow(year=year, month=13).equals(plays.arrow().slice(0, 0))
    with pytest.raises(UsageError, match=r"not partitioned by 'level', but by year, month"):
        plays.arrow(level="paid")


@pytest.mark.parametrize("folder", ["lake", "s3:x é %20=1"])
def test_files_become_what_duckdb_makes_of_them(tmp_path: Path, folder: str) -> None:
    table, long = declared(), [f"{n} of many, each longer than four bytes" for n in range(3)]
    nanoseconds = COLUMNS["at"].cast(pa.timestamp("ns"))
    uris = [
        written(tmp_path / folder),
        written(tmp_path / folder, "b.parquet", text=pa.array(long)),
        written(tmp_path / folder, "int96.parquet"),
        written(tmp_path / folder, "d.parquet", at=nanoseconds),
        written(tmp_path / folder, "e.parquet", **{k: v.slice(0, 0) for k, v in COLUMNS.items()}),
        written(tmp_path / folder, "f.parquet", text=pa.array(["one of few, and said often"] * 3)),
    ]
    for uri in uris:
        found = rows_of(table, [uri], STORED)
        assert found is not None
        assert found.equals(through_duckdb(table, uri))
    both = rows_of(table, uris, STORED)
    assert both is not None
    assert both.num_rows == 15
    assert set(both.column("year").to_pylist()) == {2018}


def test_a_column_that_no_file_of_the_version_has_is_null(tmp_path: Path) -> None:
    table = declared(f"{SCHEMA}, _later string")
    found = rows_of(table, [written(tmp_path)], STORED)
    assert found is not None
    assert found.column("_later").null_count == found.num_rows == 3


def test_no_file_is_no_row_of_the_declared_types() -> None:
    found = rows_of(declared(), [], STORED)
    assert found is not None
    assert (found.num_rows, found.schema.field("at").type) == (0, pa.timestamp("us", tz="UTC"))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": pa.array([1, 2, 3], pa.int32())},
        {"text": pa.array([b"a", b"b", b"a"])},
        {"share": pa.array(["1.5", "2", "3"])},
        {"at": COLUMNS["day_date"]},
        {"at": pa.array([1, 2, 3], pa.timestamp("ns"))},
        {"is_new": None},
    ],
    ids=["a narrower number", "bytes", "a number as text", "a day", "nanoseconds", "a column is missing"],
)
def test_files_of_other_types_are_left_to_duckdb(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert rows_of(declared(), [written(tmp_path), written(tmp_path, "b.parquet", **changed)], STORED) is None


def test_a_file_that_is_gone_or_damaged_is_left_to_duckdb(tmp_path: Path) -> None:
    uri = written(tmp_path)
    Path(uri).write_bytes(b"PAR1")
    assert rows_of(declared(), [uri], STORED) is None
    Path(uri).unlink()
    assert rows_of(declared(), [uri], STORED) is None
