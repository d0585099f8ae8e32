"""Start a Spark session safely under SIGINT and SIGTERM."""

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
    """The running session, or a new one with these settings. Raises the errors of PySpark."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    for name in (None, "py4j.clientserver"):  # they log an interrupt inside py4j and the errors after it
        logging.getLogger(name).addFilter(_is_no_interrupt)
    with _held_back():
        SparkContext._ensure_initialized(conf=conf)
    with _kept():
        SparkContext.getOrCreate(conf)
    return SparkSession.builder.config(conf=conf).getOrCreate()


@contextmanager
def _held_back() -> Iterator[None]:
    """Defer a signal to the end of the block, where Java starts; a second one acts at once.

    If PySpark is interrupted there, it loses the process of Java, which runs for ever.
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
    """Restore the signal handlers after the block.

    The handler that PySpark sets with a context cancels the jobs of Java over the connection of the
    interrupted call itself, and fails.
    """
    before = _handlers()
    try:
        yield
    finally:
        _set(before)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is None


def _handlers() -> dict[signal.Signals, Any]:
    """The current handlers; empty off the main thread, as Python delivers signals to that one only."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in ENDING}


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
