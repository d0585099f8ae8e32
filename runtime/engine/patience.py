"""How long PySpark's client waits for a Sail in this process.

By itself the client takes any server for one that comes back, and asks it for ten minutes. This one does not
come back: it ends at a SIGINT, whichever call that finds the client in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from pyspark.sql.connect.client import SparkConnectClient
from pyspark.sql.connect.client.retries import DefaultPolicy, RetryPolicyState

from runtime.errors import EngineError

IsAlive = Callable[[], bool]
Interrupt = Callable[[str], object]


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
                "engine: sail has ended, as it does at a Ctrl-C, and answers no more. Run again."
            ) from exception
        return super().next_attempt(exception)
