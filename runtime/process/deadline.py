"""Ends a process that waits for an answer longer than it may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from runtime.errors import EngineError, LakehouseError
from runtime.process import limits

TICK = 0.5

ENGINE = 120.0  # seconds without one answer to a trivial query; a busy engine answers within a few

End = Callable[[LakehouseError], None]
_end: End | None = None  # how this process ends; None where it is not ours to end, as in a notebook


@contextmanager
def ending(end: End) -> Iterator[None]:
    """In the block, a silence that lasts too long ends the process by this."""
    global _end
    before, _end = _end, end
    try:
        yield
    finally:
        _end = before


class Clock:
    """Ends the process with an error once nothing has been heard for so many seconds."""

    def __init__(self, allowed: float, error: Callable[[], LakehouseError]) -> None:
        self._allowed, self._error = allowed, error
        self._lasted = 0.0
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._keep, name="silence", daemon=True)

    def start(self) -> None:
        """Begin to keep the time."""
        if _end is not None:
            self._clock.start()

    def broken(self) -> None:
        """There was an answer."""
        self._lasted = 0.0

    def stop(self) -> None:
        """Keep the time no longer."""
        self._over.set()

    def _keep(self) -> None:
        # Counted in waits of its own: for a process that was paused no time has gone by.
        while not self._over.wait(TICK):
            self._lasted += TICK
            if self._lasted >= self._allowed and _end is not None:
                _end(self._error())
                return


def no_answer() -> EngineError:
    """The error of an engine that is silent, as where it cannot start a thread."""
    return EngineError(
        f"engine: it has not answered for {ENGINE:g} s, so this command was ended: readers see the lake as "
        "last published, and the next run undoes what this one began. It may lack threads or memory. "
        f"{limits.advice()}"
    )


@contextmanager
def within(seconds: float, error: Callable[[], LakehouseError]) -> Iterator[Clock]:
    """The block may take so long, or as long again after each answer."""
    clock = Clock(seconds, error)
    clock.start()
    try:
        yield clock
    finally:
        clock.stop()


@contextmanager
def answering(ask: Callable[[], object]) -> Iterator[None]:
    """In the block, an engine is asked again and again, and ends the process when it gives no answer.

    This also keeps an engine from forgetting a client that makes no request.
    """
    over = threading.Event()

    def listen(clock: Clock) -> None:
        while not over.wait(TICK):
            with suppress(Exception):  # an engine that has ended says so to whoever works with it
                ask()
            clock.broken()

    with within(ENGINE, no_answer) as clock:
        threading.Thread(target=listen, args=(clock,), name="pulse", daemon=True).start()
        try:
            yield
        finally:
            over.set()
