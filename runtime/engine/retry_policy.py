"""How PySpark's client speaks to a Sail in this process: over one connection, and only while Sail lives.

By itself the client takes any server for one that comes back, and asks it for ten minutes. This one does not
come back: it ends at a SIGINT, whichever call that finds the client in.
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

# gRPC would close a connection that is idle for 30 minutes, and the port takes no second one. A proxy must
# not see what this process sends to itself.
CHANNEL = [("grpc.client_idle_timeout_ms", 2**31 - 1), ("grpc.enable_http_proxy", 0)]
IsAlive = Callable[[], bool]
Interrupt = Callable[[str], object]


def connect(address: tuple[str, int], *, seconds: float) -> tuple[SparkSession, PrivatePort]:
    """A session on a server of this process, over the only connection that its port takes.

    Raises grpc.FutureTimeoutError, and EngineError when another program has connected as well.
    """
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # as PySpark's own builder does, which takes no options
    builder = DefaultChannelBuilder("sc://{}:{}".format(*address), CHANNEL)
    channel = builder.toChannel()
    grpc.channel_ready_future(channel).result(timeout=seconds)
    port = PrivatePort(address)
    builder.toChannel = lambda: channel  # type: ignore[method-assign]
    session = SparkSession.builder.channelBuilder(builder).create()
    # At exit PySpark's client would ask a server that has gone for minutes.
    atexit.unregister(session.client._on_exit)
    limit(session.client, port.is_served)
    return session, port


def limit(client: SparkConnectClient, is_alive: IsAlive) -> None:
    """Let a client ask no longer than its server lives, and wait for nothing once it is interrupted."""
    interrupt = client.interrupt_operation

    def interrupted(operation: str) -> None:
        # PySpark asks for this while a KeyboardInterrupt passes, and waits for the answer. A server that
        # ends, or has no thread to spare, gives none; and an error would take the interrupt's place.
        Thread(target=_asked, args=(interrupt, operation), name="interrupt", daemon=True).start()

    client.set_retry_policies([WhileAlive(is_alive)])
    client.interrupt_operation = interrupted  # type: ignore[method-assign,assignment]


def _asked(interrupt: Interrupt, operation: str) -> None:
    with suppress(Exception):
        interrupt(operation)


class WhileAlive(DefaultPolicy):
    """PySpark's own patience, with a server that is still there."""

    def __init__(self, is_alive: IsAlive) -> None:
        super().__init__()
        self._is_alive = is_alive

    def to_state(self) -> RetryPolicyState:
        """The attempts of one call."""
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
