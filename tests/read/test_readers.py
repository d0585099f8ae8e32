"""Gold opens in every Delta reader, with the same rows and the plainest reader protocol."""

from __future__ import annotations

import duckdb
import polars
import pyarrow
import pytest
from deltalake import DeltaTable, QueryBuilder

import gold
from lakehouse import Lakehouse
from runtime.engine import Engine

pytestmark = pytest.mark.engine


def rows(table: pyarrow.Table) -> list[str]:
    """Rows as sorted texts, instants by their number of microseconds."""
    return sorted(map(repr, table.to_pylist()))


def test_delta_rs_polars_duckdb_and_the_engine_read_the_same_gold(
    dirty_lake: Lakehouse, engine: Engine
) -> None:
    for table in gold.GOLD:
        uri = f"{dirty_lake.settings.lake}/{table.name.replace('.', '/')}"
        columns = list(table.content)
        opened = DeltaTable(uri)
        query = QueryBuilder().register("t", opened).execute(f"select {', '.join(columns)} from t")
        expected = rows(pyarrow.table(query.read_all()))
        assert len(expected) == dirty_lake.status()["tables"][table.name]["rows"] > 0
        assert rows(dirty_lake.table(table.name).arrow().select(columns)) == expected
        assert rows(polars.read_delta(uri).select(columns).to_arrow()) == expected
        assert rows(engine.read(uri).select(*columns).toArrow()) == expected
        files = duckdb.read_parquet(opened.file_uris(), hive_partitioning=bool(table.partition_by))
        assert files.count("*").fetchall() == [(len(expected),)]


def test_every_table_needs_only_reader_version_1_and_keeps_its_history(dirty_lake: Lakehouse) -> None:
    for name in gold.TABLES:
        opened = DeltaTable(f"{dirty_lake.settings.lake}/{name.replace('.', '/')}")
        assert opened.protocol().min_reader_version == 1
        configuration = opened.metadata().configuration
        assert configuration["delta.enableExpiredLogCleanup"] == "false"
        assert configuration["delta.deletedFileRetentionDuration"] == "interval 36500 days"
        assert opened.metadata().description == gold.TABLES[name].grain
