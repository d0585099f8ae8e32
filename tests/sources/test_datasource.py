"""The data source gives an engine every record, also where our code is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark import cloudpickle
from pyspark.sql import SparkSession

from runtime.s3.config import AWS
from runtime.sources.datasource import SourceRecords, read_here, read_in_parallel
from runtime.sources.inspection import inspect
from runtime.sources.listing import list_source
from runtime.sources.slicing import Slice, cut, pack, to_json
from tests.support.worker import IN_A_WORKER

pytestmark = pytest.mark.process


@pytest.fixture
def slices(tmp_path: Path) -> list[Slice]:
    """40 files of 3 records each, and an array of 2."""
    for number in range(40):
        rows = [json.dumps({"file": number, "row": row, "text": "é"}) for row in range(3)]
        (tmp_path / f"{number:02}.json").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "array.json").write_text('[{"a": 1},\n{"b": 2}]')
    files = list_source("s", str(tmp_path)).files
    return [
        piece for delivery, listed in enumerate(files) for piece in cut(listed, inspect(listed), delivery)[0]
    ]


@pytest.fixture
def partitions(slices: list[Slice]) -> str:
    """Option value for the slices in 4 partitions."""
    return to_json(pack(slices, 4))


@pytest.mark.engine
def test_the_engine_reads_every_record_with_its_file_line_and_delivery(
    spark: SparkSession, partitions: str, tmp_path: Path
) -> None:
    spark.dataSource.register(SourceRecords)
    records = spark.read.format("sparkify_records").option("partitions", partitions).load()
    assert dict(records.dtypes) == {
        "raw": "string",
        "_source_file": "string",
        "_source_line": "bigint",
        "_delivery": "bigint",
    }
    rows = records.toArrow().sort_by([("_delivery", "ascending"), ("_source_line", "ascending")])
    found = rows.to_pylist()
    assert len(found) == 122
    assert found[4] == {
        "raw": '{"file": 1, "row": 1, "text": "\\u00e9"}',
        "_source_file": str(tmp_path / "01.json"),
        "_source_line": 2,
        "_delivery": 1,
    }
    assert [(row["raw"], row["_source_line"]) for row in found[-2:]] == [
        ('{"a": 1}', 1),
        ('{"b": 2}', 2),
    ]


@pytest.mark.engine
@pytest.mark.parametrize("renames", [{}, {"number": ["row"]}], ids=["as they are", "renamed"])
def test_records_read_in_this_process_are_those_that_workers_read(
    spark: SparkSession, slices: list[Slice], renames: dict[str, list[str]]
) -> None:
    here = read_here(spark, slices, renames, AWS)
    by_workers = read_in_parallel(spark, pack(slices, 4), renames, AWS)
    assert here.count() == 122
    assert_df_equality(here, by_workers, ignore_row_order=True, ignore_nullable=True)


@pytest.mark.engine
def test_files_without_a_record_are_read_in_this_process_too(spark: SparkSession) -> None:
    assert read_here(spark, [], {}, AWS).count() == 0


def test_the_data_source_runs_where_our_package_cannot_be_imported(partitions: str, tmp_path: Path) -> None:
    source = SourceRecords({"partitions": partitions})
    pickled = cloudpickle.dumps(source)  # type: ignore[no-untyped-call]
    worker = subprocess.run(
        [sys.executable, "-c", IN_A_WORKER],
        input=pickled,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert (worker.stdout.decode().strip(), worker.stderr.decode()) == ("122", "")
