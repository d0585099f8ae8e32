"""Sail: a Rust engine that speaks Spark Connect, in this process, without Java."""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, cast

from runtime.delta import scratch
from runtime.delta.store import open_table
from runtime.engine import SESSION
from runtime.engine.plain_paths import plain
from runtime.engine.private_port import intruded
from runtime.errors import EngineError, LakehouseError, first_line
from runtime.process import allocator, limits
from runtime.process.deadline import ENGINE, answering, no_answer, within
from runtime.process.environment import set_environment
from runtime.s3.config import AWS, Access
from runtime.s3.options import variables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# Its allocator retains freed memory, more with every batch: a gigabyte after about 4 GB of sources.
# Returning memory at once costs a tenth of the CPU time, so a short run does not.
KEEPS_MEMORY = 1024**3
SESSION_SECONDS = 365 * 24 * 3600  # Sail's default, 900, ends the session of an idle notebook


@contextmanager
def _started() -> Iterator[None]:
    """Raise EngineError with advice on limits when the start fails, also by a panic in Rust."""
    try:
        yield
    except LakehouseError:
        raise
    except BaseException as fault:
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        first = first_line(fault)
        raise EngineError(f"engine sail: it did not start: {first}. {limits.advice()}") from fault


def _require_loopback() -> None:
    """Raises EngineError where this process cannot connect to its own server."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=10).close()
    except OSError as fault:
        raise EngineError(
            f"engine: sail cannot listen at 127.0.0.1 ({first_line(fault)}): this process talks to it "
            "over the loopback interface, which must be up (ip link set lo up)."
        ) from fault


class Sail:
    """A Sail server on a free loopback port and a session on it."""

    name = "sail"
    _sessions: ClassVar[set[str]] = set()  # of this server and earlier ones
    reads_here = 1024**2  # its workers are threads of this process, which start in 0.1 s

    def __init__(self, partitions: int, *, ahead: int | None = None) -> None:
        limits.require_threads_and_memory()
        _require_loopback()
        os.environ.setdefault("RUST_LOG", "error")  # its start and stop do not interest a user
        allocator.give_back(at_once=ahead is None or ahead > KEEPS_MEMORY)
        os.environ.setdefault("SAIL_SPARK__SESSION_TIMEOUT_SECS", str(SESSION_SECONDS))
        from pysail.spark import SparkConnectServer

        # Import all modules before the port opens, so that it is open for milliseconds only.
        from runtime.engine import retry_policy

        self.partitions, self._access = partitions, AWS
        self._server = SparkConnectServer(ip="127.0.0.1", port=0)
        with within(ENGINE, no_answer), _started():
            self._server.start(background=True)
            atexit.register(self._server.stop)
            try:
                session, self._port = retry_policy.connect(self._server.listening_address, seconds=ENGINE)
                self.spark = cast("SparkSession", session)
                self._require_alone(session.session_id)
            except Exception:
                self._stop()
                raise
        for key, value in SESSION.items():
            self.spark.conf.set(key, value)
        atexit.register(self._end)

    def _require_alone(self, session: str) -> None:
        """Raises EngineError when another client has or had a session, also without a connection now."""
        self._sessions.add(session)
        listed = self.spark.sql("select session_id from system.session.sessions").collect()
        self._port.require_alone()
        if {row.session_id for row in listed} - self._sessions:
            raise intruded()

    def _end(self) -> None:
        if self.is_alive():
            self.spark.stop()

    def is_alive(self) -> bool:
        """The server ends at the first SIGINT, such as an interrupt in a notebook; the session after a time
        without requests, if the user has set one."""
        if self._port.is_served():
            with suppress(Exception), within(ENGINE, no_answer):
                self._ask()
                return True
            self._stop()
        return False

    def watched(self) -> AbstractContextManager[None]:
        """In the block, the process exits when Sail stops responding, as it does without free threads."""
        return answering(self._ask)

    def _ask(self) -> None:
        """Raises an exception when the server or the session has ended."""
        self.spark.conf.get("spark.sql.session.timeZone")

    def _stop(self) -> None:
        atexit.unregister(self._server.stop)
        self._server.stop()

    def reach(self, access: Access) -> None:
        """The server is in this process and reads the environment at the first use of each bucket."""
        self._access = access
        set_environment(variables(access))

    def read(self, uri: str, version: int | None = None) -> DataFrame:
        """A Delta table. Sail cannot read versions before its last checkpoint; then we list the files."""
        newest = None if version is None else open_table(uri, access=self._access)
        if newest is None or newest.version() == version:
            return self.spark.read.format("delta").load(plain(uri))
        from runtime.engine.time_travel_source import read_pinned

        table = open_table(uri, version, self._access)
        assert table is not None
        return read_pinned(self.spark, table, self._access, self.partitions)

    def keep(self, rows: DataFrame, uri: str) -> DataFrame:
        """Write to scratch space, because Sail ignores `cache`. Parquet stores the row count: without it, as
        with Arrow files, Sail may build the hash table of a join from the larger side."""
        rows.write.mode("overwrite").parquet(plain(uri))
        reader = self.spark.read
        if not scratch.size(uri, self._access)["files"]:
            reader = reader.schema(rows.schema)  # without rows Sail writes no file to read the schema from
        return reader.parquet(plain(uri))

    def spread(self, rows: DataFrame, tasks: int) -> DataFrame:
        """By `coalesce` only where it is safe: it reads the partitions of a task in turn, and a join
        below may wait for ever until all are read. `repartition` reads all at once."""
        one_each = tasks >= len(os.sched_getaffinity(0))
        return rows.coalesce(tasks) if tasks == 1 or one_each else rows.repartition(tasks)
