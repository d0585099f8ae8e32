"""Sail: a Rust engine that speaks Spark Connect, in this process, without Java."""

from __future__ import annotations

import atexit
import os
import socket
from typing import TYPE_CHECKING

from runtime import memory, scratch
from runtime.delta import open_table
from runtime.engine import SESSION
from runtime.engine.paths import plain
from runtime.s3.access import AWS, Access
from runtime.s3.options import variables
from runtime.surroundings import place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


# Its allocator holds on to what was freed, more with every batch: a gigabyte after some 4 GB of sources.
# To give memory back at once costs a tenth of the processor time, so a short run does not.
KEEPS_MEMORY = 1024**3


class Sail:
    """A Sail server on a free loopback port and a session on it."""

    name = "sail"
    reads_here = 1024**2  # its workers are threads of this process, and take a tenth of a second to begin

    def __init__(self, partitions: int, *, ahead: int | None = None) -> None:
        os.environ.setdefault("RUST_LOG", "error")  # its start and stop are no news to a user
        memory.give_back(at_once=ahead is None or ahead > KEEPS_MEMORY)
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession

        from runtime.engine import patience

        self.partitions, self._access = partitions, AWS
        self._server = SparkConnectServer(ip="127.0.0.1", port=0)
        self._server.start(background=True)
        # At exit the last registered goes first: a client that finds its server gone, because a
        # signal came while it was being made, asks again for minutes.
        atexit.register(self._server.stop)
        _, port = self._server.listening_address
        self.spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
        patience.limit(self.spark.client, self.is_alive)
        for key, value in SESSION.items():
            self.spark.conf.set(key, value)
        atexit.register(self._end)

    def _end(self) -> None:
        if self.is_alive():
            self.spark.stop()

    def is_alive(self) -> bool:
        """Its server ends at the first SIGINT, as when a notebook's cell is interrupted."""
        try:
            socket.create_connection(self._server.listening_address, timeout=1).close()
        except OSError:
            # At exit PySpark's client would ask the dead server for minutes to end the session.
            atexit.unregister(self.spark.client._on_exit)
            return False
        return True

    def reach(self, access: Access) -> None:
        """The server is in this process, and looks into its environment at each bucket's first use."""
        self._access = access
        place(variables(access))

    def read(self, uri: str, version: int | None = None) -> DataFrame:
        """A Delta table; below its last checkpoint Sail cannot go back, so we list the files for it."""
        newest = None if version is None else open_table(uri, access=self._access)
        if newest is None or newest.version() == version:
            return self.spark.read.format("delta").load(plain(uri))
        from runtime.engine.pinned import read_pinned

        table = open_table(uri, version, self._access)
        assert table is not None
        return read_pinned(self.spark, table, self._access, self.partitions)

    def keep(self, rows: DataFrame, uri: str) -> DataFrame:
        """Written to scratch space, as Sail's cache does nothing yet. As Parquet, which says how many rows it
        holds: of Arrow files Sail does not know, and builds the hash table of a join from the larger side."""
        rows.write.mode("overwrite").parquet(plain(uri))
        reader = self.spark.read
        if not scratch.size(uri, self._access)["files"]:
            reader = reader.schema(rows.schema)  # for no rows it writes no file, which would tell
        return reader.parquet(plain(uri))

    def spread(self, rows: DataFrame, tasks: int) -> DataFrame:
        """Where a task has several partitions, those of a `coalesce` are asked one after another, and a join
        below may wait for ever until all of its partitions were asked; `repartition` asks all at once."""
        one_each = tasks >= len(os.sched_getaffinity(0))
        return rows.coalesce(tasks) if tasks == 1 or one_each else rows.repartition(tasks)
