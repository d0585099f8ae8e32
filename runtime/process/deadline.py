"""Ends a process that waits too long for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from runtime.errors import EngineError, LakehouseError
from runtime.process import limits

TICK = 0.5

ENGINE = 120.0  # seconds without an answer to a trivial query; a busy engine needs a few seconds

End = Callable[[LakehouseError], None]
_end: End | None = None  # ends this process; None when we must not end it, as in a notebook


@contextmanager
def ending(end: End) -> Iterator[None]:
    """In the block, deadlines end the process by calling `end`."""
    global _end
    before, _end = _end, end
    try:
        yield
    finally:
        _end = before


class Clock:
    """Ends the process with an error after `allowed` seconds without an answer."""

    def __init__(self, allowed: float, error: Callable[[], LakehouseError]) -> None:
        self._allowed, self._error = allowed, error
        self._lasted = 0.0
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._keep, name="silence", daemon=True)

    def start(self) -> None:
        if _end is not None:
            self._clock.start()

    def broken(self) -> None:
        """Restart the countdown, because an answer has arrived."""
        self._lasted = 0.0

    def stop(self) -> None:
        self._over.set()

    def _keep(self) -> None:
        # Counts its own waits, not a clock, so that the time of a suspended process does not count.
        while not self._over.wait(TICK):
            self._lasted += TICK
            if self._lasted >= self._allowed and _end is not None:
                _end(self._error())
                return


def no_answer() -> EngineError:
    """The error for an engine that does not answer, for example because it cannot start a thread."""
    return EngineError(
        f"engine: it has not answered for {ENGINE:g} s, so this command was ended: readers see the lake as "
        "last published, and the next run undoes what this one began. It may lack threads or memory. "
        f"{limits.advice()}"
    )


@contextmanager
def within(seconds: float, error: Callable[[], LakehouseError]) -> Iterator[Clock]:
    """End the process when the block takes longer than `seconds`, counted from the last answer."""
    clock = Clock(seconds, error)
    clock.start()
    try:
        yield clock
    finally:
        clock.stop()


@contextmanager
def answering(ask: Callable[[], object]) -> Iterator[None]:
    """Poll an engine with `ask` during the block, and end the process when it does not answer.

    The polling also keeps an idle session open.
    """
    over = threading.Event()

    def listen(clock: Clock) -> None:
        while not over.wait(TICK):
            with suppress(Exception):  # the block's own requests raise the error of an engine that has ended
                ask()
            clock.broken()

    with within(ENGINE, no_answer) as clock:
        threading.Thread(target=listen, args=(clock,), name="pulse", daemon=True).start()
        try:
            yield
        finally:
            over.set()
