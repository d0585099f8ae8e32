"""Ends a process whose bucket has gone silent, once its lease has lapsed.

The engines' clients ask a server that takes requests and never answers them again for minutes, and neither
engine can be told to stop: object_store, in Sail, allows three minutes a request and takes no other time
from outside. A thread of our own, which the bucket cannot hold up, keeps the time instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime.errors import StorageError
from runtime.s3.access import Access, is_s3
from runtime.s3.failures import lapsed

LEAST = 10.0  # seconds: an answer may take as long with nothing being wrong, however short the lease
TICK = 0.5

End = Callable[[StorageError], None]
_end: End | None = None  # how this process ends; None where it is not ours to end, as in a notebook


@contextmanager
def ending(end: End) -> Iterator[None]:
    """In the block, a lease that lapses in silence ends the process by this."""
    global _end
    before, _end = _end, end
    try:
        yield
    finally:
        _end = before


class Silence:
    """How long nothing has been heard from the ledger of a lake in a bucket. On disk it is not kept."""

    def __init__(self, uri: str, access: Access, lease_seconds: float) -> None:
        self._uri, self._access = uri, access
        self._allowed = max(lease_seconds, LEAST)
        self._lasted = 0.0
        self._met: Exception | None = None
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._keep, name="silence", daemon=True)

    def start(self) -> None:
        """Begin to keep the time."""
        if is_s3(self._uri) and _end is not None:
            self._clock.start()

    def broken(self) -> None:
        """The ledger answered."""
        self._lasted, self._met = 0.0, None

    def goes_on(self, met: Exception) -> None:
        """The ledger was asked in vain."""
        self._met = met

    def stop(self) -> None:
        """Keep the time no longer."""
        self._over.set()

    def _keep(self) -> None:
        # Counted in waits of its own: for a process that was paused no time has gone by.
        while not self._over.wait(TICK):
            self._lasted += TICK
            if self._lasted >= self._allowed and _end is not None:
                _end(lapsed(self._uri, self._access, self._allowed, self._met))
                return
