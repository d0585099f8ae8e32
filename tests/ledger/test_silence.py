"""A bucket that is silent for as long as a lease lasts ends the command, as does an engine that is silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import pytest

from runtime.errors import LakehouseError, StorageError
from runtime.ledger.watchdog import Watchdog
from runtime.process.deadline import TICK, answering, ending
from runtime.s3.config import Access

LEDGER = "s3://lakes/lake/_ledger"
ACCESS = Access("http://127.0.0.1:1")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.ledger.watchdog.LEAST", TICK)


@contextmanager
def kept(uri: str, seconds: float = TICK) -> Iterator[Watchdog]:
    silence = Watchdog(uri, ACCESS, seconds)
    silence.start()
    try:
        yield silence
    finally:
        silence.stop()
        for clock in clocks():
            clock.join()


def clocks() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "silence"]


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (None, "no answer came (bucket lakes at http://127.0.0.1:1). Check that the server answers"),
        (OSError("Connection refused"), "nothing answers there (bucket lakes"),
        (StorageError("s3://lakes: the key has expired."), "s3://lakes: the key has expired."),
    ],
)
def test_the_command_is_ended_by_what_was_met_last(met: Exception | None, said: str) -> None:
    told = Queue[LakehouseError]()
    with ending(told.put), kept(LEDGER) as silence:
        if met is not None:
            silence.goes_on(met)
        error = told.get(timeout=60)
    assert said in str(error)
    assert f"For {TICK:g} s the lease could not be renewed" in str(error)
    assert error.exit_code == 2


def test_an_answer_ends_the_silence() -> None:
    told = Queue[LakehouseError]()
    with ending(told.put), kept(LEDGER, 10 * TICK) as silence:
        silence.goes_on(OSError("Connection refused"))
        silence.broken()
        assert "no answer came" in str(told.get(timeout=60))


def test_neither_a_lake_on_disk_nor_a_process_that_is_not_ours_is_ended() -> None:
    with ending(print), kept("/lakes/lake/_ledger"):
        assert not clocks()
    with kept(LEDGER):
        assert not clocks()
    with ending(print), kept(LEDGER, 3600):
        assert clocks()


def test_an_engine_that_answers_no_question_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.process.deadline.ENGINE", TICK)
    told, never = Queue[LakehouseError](), threading.Event()
    with ending(told.put), answering(never.wait):
        error = told.get(timeout=60)
        never.set()
    assert "it has not answered for" in str(error)
    assert "ulimit -u" in str(error)
    assert error.exit_code == 2


def test_an_engine_that_answers_or_says_that_it_has_ended_ends_no_command() -> None:
    told, asked = Queue[LakehouseError](), Queue[None]()

    def ask() -> None:
        asked.put(None)
        raise RuntimeError("the engine has ended")

    with ending(told.put), answering(ask):
        for _ in range(3):
            asked.get(timeout=60)
    assert told.empty()
