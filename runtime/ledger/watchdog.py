"""End the process when its bucket no longer answers and its lease has expired.

The engines' S3 clients retry for minutes against a server that accepts requests and never answers, and this
cannot be configured: object_store, in Sail, has a fixed timeout of three minutes a request. A thread of our
own, which the bucket cannot block, measures the time instead.
"""

from __future__ import annotations

from runtime.process.deadline import Clock
from runtime.s3.config import Access, is_s3
from runtime.s3.failures import lapsed

LEAST = 10.0  # seconds; a healthy server may take this long, even with a shorter lease


class Watchdog(Clock):
    """Measures the time since the ledger last answered. For buckets only, not for local disks."""

    def __init__(self, uri: str, access: Access, lease_seconds: float) -> None:
        self._uri = uri
        self._met: Exception | None = None
        allowed = max(lease_seconds, LEAST)
        super().__init__(allowed, lambda: lapsed(uri, access, allowed, self._met))

    def start(self) -> None:
        """Start the thread, if the ledger is in a bucket."""
        if is_s3(self._uri):
            super().start()

    def broken(self) -> None:
        """The ledger answered."""
        self._met = None
        super().broken()

    def goes_on(self, met: Exception) -> None:
        """A request to the ledger failed with `met`."""
        self._met = met
