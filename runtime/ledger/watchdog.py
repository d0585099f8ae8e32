"""Ends a process whose bucket has gone silent, once its lease has lapsed, or whose engine has.

The engines' clients ask a server that takes requests and never answers them again for minutes, and neither
engine can be told to stop: object_store, in Sail, allows three minutes a request and takes no other time
from outside. A thread of our own, which the bucket cannot hold up, keeps the time instead. So it does for an
engine in this process: out of threads or memory, Sail and gRPC wait for ever.
"""

from __future__ import annotations

from runtime.process.deadline import Clock
from runtime.s3.config import Access, is_s3
from runtime.s3.failures import lapsed

LEAST = 10.0  # seconds: an answer may take as long with nothing being wrong, however short the lease


class Watchdog(Clock):
    """How long nothing has been heard from the ledger of a lake in a bucket. On disk it is not kept."""

    def __init__(self, uri: str, access: Access, lease_seconds: float) -> None:
        self._uri = uri
        self._met: Exception | None = None
        allowed = max(lease_seconds, LEAST)
        super().__init__(allowed, lambda: lapsed(uri, access, allowed, self._met))

    def start(self) -> None:
        """Begin to keep the time."""
        if is_s3(self._uri):
            super().start()

    def broken(self) -> None:
        """The ledger answered."""
        self._met = None
        super().broken()

    def goes_on(self, met: Exception) -> None:
        """The ledger was asked in vain."""
        self._met = met
