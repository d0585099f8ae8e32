"""One read-only statement in Spark's dialect over a snapshot, on the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import UsageError, first_line, is_file_gone
from runtime.read.query import require_text
from runtime.read.spark_sql import SHOW_TABLES, about, first_lines, over_views, reading_query

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

    from runtime.engine import Engine
    from runtime.read.snapshot import Snapshot


def run_on_engine(snapshot: Snapshot, engine: Engine, statement: str) -> pyarrow.Table:
    """The rows of one query in Spark's dialect, on the engine. Raises UsageError for any other statement."""
    require_text(statement)
    from pyspark.errors import PySparkException

    if SHOW_TABLES.match(statement):
        return _names(snapshot)
    prefix, statement = about(statement)
    rewritten, used = over_views(reading_query(statement), snapshot.versions, snapshot.batch_id)
    try:
        for name, view in used.items():
            snapshot.table(name).spark().createOrReplaceTempView(view)
        if prefix == "describe":
            return _columns(engine.spark.sql(rewritten))
        return engine.spark.sql(prefix + rewritten).toArrow()
    except PySparkException as error:
        if is_file_gone(error, snapshot.store.root):
            raise snapshot.damaged(first_line(error)) from error
        raise UsageError(f"query: {first_lines(error)}") from error


def _columns(rows: DataFrame) -> pyarrow.Table:
    """DESCRIBE of a query, which not every engine supports."""
    import pyarrow

    types = {field.name: field.dataType.simpleString() for field in rows.schema}
    return pyarrow.table({"col_name": list(types), "data_type": list(types.values())})


def _names(snapshot: Snapshot) -> pyarrow.Table:
    """SHOW TABLES over all layers: an engine lists only those of its own catalogue."""
    import pyarrow

    return pyarrow.table({"name": sorted(snapshot.versions)})
