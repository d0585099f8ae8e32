"""Apache Spark with delta-spark: local, or the cluster that spark-submit names."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.engine import SESSION, class_archive, s3a, spark_session, spark_submit
from runtime.engine.jars import delta_settings
from runtime.engine.java import require_java
from runtime.engine.plain_paths import plain
from runtime.engine.spark_submit import submitted_session
from runtime.errors import EngineError
from runtime.s3.config import Access
from runtime.settings.load import under_spark_submit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Spark's default, INT96, has no time zone: Sail, like any strict reader, refuses to read it as an instant.
REQUIRED = {**SESSION, "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
LOGGING = Path(__file__).with_name("log4j2.properties").as_uri()


OPTIONS = "spark.driver.extraJavaOptions"
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# The garbage collector with the least total work: short pauses of a batch do not matter.
JVM = f"-Dlog4j2.configurationFile={LOGGING} -XX:+UseParallelGC"
# Java's second compiler speeds up long runs but takes half of the CPU first: below about this many bytes of
# sources it does not pay.
LITTLE = 256 * 1024**2
BRIEF = "-XX:TieredStopAtLevel=1"
READS_HERE = 32 * 1024**2


class Spark:
    """A Spark session with Delta Lake."""

    name = "spark"

    def __init__(
        self,
        partitions: int,
        confs: Mapping[str, str],
        *,
        with_s3: bool = False,
        is_chosen: bool = True,
        ahead: int | None = None,
    ) -> None:
        """`partitions` applies on one machine or if `is_chosen`; otherwise the cluster decides."""
        self._confs = confs
        if under_spark_submit():
            self.spark = _started(lambda: submitted_session(REQUIRED, confs, with_s3=with_s3))
        else:
            require_java()
            also = s3a.cached() or (s3a.resolve() if with_s3 else [])
            self.spark = _session(partitions, confs, also, f"{jvm(ahead)} {class_archive.options()}")
        self._partitions = partitions if is_chosen or self._is_local else None
        self.spark.sparkContext.setLogLevel("ERROR")
        # Its log repeats raised errors on stderr, as JSON with Java's stack.
        logging.getLogger("SQLQueryContextLogger").disabled = True
        atexit.register(self._hush)

    @property
    def partitions(self) -> int:
        """Tasks in parallel. Executors come and go, so the cluster is queried each time."""
        return self._partitions or self.spark.sparkContext.defaultParallelism

    @property
    def reads_here(self) -> int:
        """A local Python worker takes seconds to start; the workers of a cluster use other machines."""
        return READS_HERE if self._is_local else 0

    @property
    def _is_local(self) -> bool:
        return str(self.spark.sparkContext.master).startswith("local")

    def _hush(self) -> None:
        """Silence Java at exit, where it would log the failure of unfinished jobs."""
        with suppress(Exception):
            self.spark.sparkContext.setLogLevel("OFF")

    def is_alive(self) -> bool:
        """Whether the session is not stopped."""
        return not self.spark.sparkContext._jsc.sc().isStopped()

    def watched(self) -> AbstractContextManager[None]:
        """Does nothing: Java is a separate process, so its end closes the connection."""
        return nullcontext()

    def reach(self, access: Access) -> None:
        """Set Hadoop's options in the session; its classes must be loaded from the start.

        A cluster that configures s3:// itself stays as it is, if it has the class: the one of EMR only works
        in EMR's own Spark.
        """
        hadoop = self.spark.sparkContext._jsc.hadoopConfiguration()
        chosen = hadoop.get("fs.s3.impl")
        if chosen is not None and hadoop.getClassByNameOrNull(chosen) is not None:
            return
        if hadoop.getClassByNameOrNull(s3a.FILE_SYSTEM) is None:
            raise EngineError(
                "engine spark: it was started without the jars for S3, and cannot load them any more. Start "
                "a new process, whose first lake is on S3; give them to spark-submit with "
                '--jars "$(python -m runtime.engine.s3a)".'
            )
        for key, value in s3a.settings(access, self._confs).items():
            self.spark.conf.set(key, value)

    def read(self, uri: str, version: int | None = None) -> DataFrame:
        """A Delta table as of a version."""
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(plain(uri))

    def keep(self, rows: DataFrame, uri: str) -> DataFrame:
        """Write to scratch space as Parquet.

        Not `cache`: when a Delta table changes, Spark recomputes cached rows that read it, and a change set
        must keep the rows from before.
        """
        rows.write.parquet(plain(uri))
        return self.spark.read.schema(rows.schema).parquet(plain(uri))

    def spread(self, rows: DataFrame, tasks: int) -> DataFrame:
        """Without a shuffle, before which Spark sorts the rows: that doubles the cost of the write."""
        return rows.coalesce(tasks)


def jvm(ahead: int | None) -> str:
    """Java options for `ahead` bytes of sources before the process ends, None if unknown."""
    return f"{JVM} {BRIEF}" if ahead is not None and ahead <= LITTLE else JVM


def _local(partitions: int) -> dict[str, str]:
    """Spark settings for one machine."""
    return {
        "spark.master": f"local[{partitions}]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        **spark_submit.AUTHENTICATED,
        "spark.sql.shuffle.partitions": str(partitions),
        # On one machine adaptive execution gains nothing and doubles the number of jobs.
        "spark.sql.adaptive.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
    }


def _session(partitions: int, confs: Mapping[str, str], also: Sequence[Path], java: str) -> SparkSession:
    from pyspark import SparkConf

    master = confs.get("spark.master", "local")
    fitting = _local(partitions) if master.startswith("local") else {}
    chosen = {**QUIET, OPTIONS: java, **fitting, **REQUIRED, **confs}
    conf = SparkConf().setAppName("sparkify-lakehouse").setAll(list(chosen.items()))
    return _started(lambda: spark_session.session(conf.setAll(list(delta_settings(master, also).items()))))


def _started(start: Callable[[], SparkSession]) -> SparkSession:
    try:
        return start()
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(
            f"engine spark: Spark did not start: {str(error).splitlines()[0]}. Run with --debug for "
            "the whole story; the default engine, sail, needs no Java."
        ) from error
