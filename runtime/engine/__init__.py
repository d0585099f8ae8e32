"""The engine that runs the PySpark code: Sail in this process, or Apache Spark. One per process.

PySpark decides once per process between classic Spark and Spark Connect, so the first engine started
is the engine of the process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from runtime.errors import EngineError
from runtime.process.profiling import step
from runtime.s3.chosen import chosen_access
from runtime.s3.config import Access, is_s3
from runtime.settings.model import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# variable.substitute: otherwise Spark expands ${env:…} in a query to environment variables.
SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.variable.substitute": "false",
}


class Engine(Protocol):
    """A running engine."""

    name: str
    spark: SparkSession

    @property
    def partitions(self) -> int:
        """Number of tasks it runs in parallel."""
        ...

    @property
    def reads_here(self) -> int:
        """Below this many bytes, reading in this process is faster than starting workers."""
        ...

    def is_alive(self) -> bool:
        """Whether it still runs queries."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """In the block, the process exits if the engine stops responding."""
        ...

    def reach(self, access: Access) -> None:
        """Configure access to buckets. Raises EngineError when it is too late for that."""
        ...

    def read(self, uri: str, version: int | None = None) -> DataFrame:
        """A Delta table as of a version; the newest by default."""
        ...

    def keep(self, rows: DataFrame, uri: str) -> DataFrame:
        """The same rows, computed once and stored at `uri`, an unused scratch location."""
        ...

    def spread(self, rows: DataFrame, tasks: int) -> DataFrame:
        """Repartition rows to `tasks` write tasks, by the cheapest way of the engine."""
        ...


_running: Engine | None = None


@step("start the engine")
def started(settings: Settings, *, ahead: int | None = None) -> Engine:
    """The engine that the settings name, with access to their lake. Raises EngineError."""
    access = chosen_access(settings.s3) if is_s3(settings.lake) else None
    return start(
        settings.engine, confs=settings.spark, partitions=settings.partitions, s3=access, ahead=ahead
    )


def start(
    name: str,
    *,
    confs: Mapping[str, str],
    partitions: int | None,
    s3: Access | None = None,
    ahead: int | None = None,
) -> Engine:
    """The engine of this process, started if it is not running. Raises EngineError.

    `s3`: access to the bucket, None for a lake on disk. `ahead`: bytes of sources before the process ends,
    None if unknown or if the process goes on.
    """
    global _running
    if _running is None or not _running.is_alive():
        # Workers must run this interpreter, not the first `python3` on the PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        cores = partitions or len(os.sched_getaffinity(0))
        if name == "sail":
            from runtime.engine.sail import Sail

            _running = Sail(cores, ahead=ahead)
        else:
            from runtime.engine.spark import Spark

            _running = Spark(
                cores, confs, with_s3=s3 is not None, is_chosen=partitions is not None, ahead=ahead
            )
    if _running.name != name:
        raise EngineError(
            f"engine: this process already runs {_running.name}, so it cannot start {name} as well. "
            f"PySpark allows one engine a process: use {_running.name}, or start a new process."
        )
    if s3 is not None:
        _running.reach(s3)
    return _running
