"""PySpark's client of a Sail server in this process: one connection, and retries only while Sail runs.

By default the client retries for ten minutes, as if a server would come back. This one does not: it ends at
a SIGINT, during any call of the client.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import grpc  # type: ignore[import-untyped]
from pyspark.sql.connect.client import DefaultChannelBuilder, SparkConnectClient
from pyspark.sql.connect.client.retries import DefaultPolicy, RetryPolicyState
from pyspark.sql.connect.session import SparkSession

from runtime.engine.private_port import PrivatePort
from runtime.errors import EngineError

# gRPC would close a connection that is idle for 30 minutes, and the port accepts no second one. A proxy must
# not see the traffic of this process with itself.
CHANNEL = [("grpc.client_idle_timeout_ms", 2**31 - 1), ("grpc.enable_http_proxy", 0)]
IsAlive = Callable[[], bool]
Interrupt = Callable[[str], object]


def connect(address: tuple[str, int], *, seconds: float) -> tuple[SparkSession, PrivatePort]:
    """A session on a server in this process, over the only connection that its port accepts.

    Raises grpc.FutureTimeoutError, and EngineError when another program has connected as well.
    """
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # PySpark's builder sets it, but has no channel options
    builder = DefaultChannelBuilder("sc://{}:{}".format(*address), CHANNEL)
    channel = builder.toChannel()
    grpc.channel_ready_future(channel).result(timeout=seconds)
    port = PrivatePort(address)
    builder.toChannel = lambda: channel  # type: ignore[method-assign]
    session = SparkSession.builder.channelBuilder(builder).create()
    # At exit PySpark's client would retry for minutes on a stopped server.
    atexit.unregister(session.client._on_exit)
    limit(session.client, port.is_served)
    return session, port


def limit(client: SparkConnectClient, is_alive: IsAlive) -> None:
    """Stop retrying once the server has died, and never block on an interrupt."""
    interrupt = client.interrupt_operation

    def interrupted(operation: str) -> None:
        # PySpark calls this during a KeyboardInterrupt and waits for the answer. A server that ends, or has
        # no free thread, never answers; and an error would replace the interrupt.
        Thread(target=_asked, args=(interrupt, operation), name="interrupt", daemon=True).start()

    client.set_retry_policies([WhileAlive(is_alive)])
    client.interrupt_operation = interrupted  # type: ignore[method-assign,assignment]


def _asked(interrupt: Interrupt, operation: str) -> None:
    with suppress(Exception):
        interrupt(operation)


class WhileAlive(DefaultPolicy):
    """PySpark's default retries, as long as the server is alive."""

    def __init__(self, is_alive: IsAlive) -> None:
        super().__init__()
        self._is_alive = is_alive

    def to_state(self) -> RetryPolicyState:
        """A counter of the attempts of one call."""
        return _Attempts(self, self._is_alive)


class _Attempts(RetryPolicyState):
    def __init__(self, policy: WhileAlive, is_alive: IsAlive) -> None:
        super().__init__(policy)
        self._is_alive = is_alive

    def next_attempt(self, exception: BaseException | None = None) -> int | None:
        if not self._is_alive():
            raise EngineError(
                "engine: sail answers no more: it has ended, as it does at a Ctrl-C, or the loopback "
                "interface is down. Run again."
            ) from exception
        return super().next_attempt(exception)
