"""How a Spark session starts, whatever signals come meanwhile."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

ENDING = (signal.SIGINT, signal.SIGTERM)


def session(conf: SparkConf) -> SparkSession:
    """The session of these settings, started where there is none. Raises what PySpark raises."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    for name in (None, "py4j.clientserver"):  # they log where an interrupt met py4j, and what then failed
        logging.getLogger(name).addFilter(_is_no_interrupt)
    with _held_back():
        SparkContext._ensure_initialized(conf=conf)
    with _kept():
        SparkContext.getOrCreate(conf)
    return SparkSession.builder.config(conf=conf).getOrCreate()


@contextmanager
def _held_back() -> Iterator[None]:
    """In the block, where Java starts, a signal to end waits for its end; a second one does not.

    PySpark, interrupted then, forgets the process, which goes on for ever.
    """
    waiting: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) > 1:
            _set(before)
            signal.raise_signal(number)

    before = _handlers()
    _set({number: wait for number, handler in before.items() if callable(handler)})
    try:
        yield
    finally:
        _set(before)
        if len(waiting) == 1:
            signal.raise_signal(waiting[0])


@contextmanager
def _kept() -> Iterator[None]:
    """After the block, the handlers of before.

    PySpark's own, set with a context, asks Java to cancel its jobs over the connection of the very call that
    is interrupted, and fails.
    """
    before = _handlers()
    try:
        yield
    finally:
        _set(before)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    met = record.exc_info[1] if record.exc_info else None
    while met is not None and not isinstance(met, KeyboardInterrupt):
        met = met.__context__
    return met is None


def _handlers() -> dict[signal.Signals, Any]:
    """None off the main thread, to which alone Python gives signals."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in ENDING}


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
