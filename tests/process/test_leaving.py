"""How a process ends that has nothing left to say."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.support.checkout import ROOT

pytestmark = pytest.mark.process

BODY = """
import atexit, sys, threading, time
from runtime.process.exit import leave

def late():
    time.sleep(0.3)
    print("the thread")

atexit.register(print, "registered")
threading.Thread(target=late).start()
sys.stdout.write("said ")
leave(7)
"""
IDLE = """
from concurrent.futures import ThreadPoolExecutor
from runtime.process.exit import leave

pool = ThreadPoolExecutor(1)
pool.submit(int).result()
leave(7)
"""
WAITED_FOR = """
import os, signal, sys, threading, time
from runtime.process.exit import leave

def forever():
    if sys.argv[2:]:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell runs this in the background
threading.Thread(target=forever).start()
leave(int(sys.argv[1]))
"""
LOADING = """
import sys

class Loading:
    def __getattr__(self, name):
        raise KeyboardInterrupt

import lakehouse
sys.modules["runtime.cli"] = Loading()
sys.exit(lakehouse.main())
"""


def test_a_process_leaves_once_its_threads_and_all_that_is_registered_had_their_turn() -> None:
    assert left(BODY) == (7, "said the thread\nregistered\n", "")


def test_a_pool_that_nobody_shut_down_holds_no_process_back() -> None:
    assert left(IDLE) == (7, "", "")


@pytest.mark.parametrize("code", [130, 143])
def test_a_process_that_was_stopped_waits_for_a_thread_no_more_than_seconds(code: int) -> None:
    begun = time.monotonic()
    assert left(WAITED_FOR, str(code)) == (code, "", "")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("code", [0, 130])
def test_a_ctrl_c_ends_a_process_that_waits_for_its_end_with_its_code(code: int) -> None:
    assert left(WAITED_FOR, str(code), "interrupted") == (code, "", "")


def test_a_ctrl_c_while_the_program_is_loaded_ends_as_any_other() -> None:
    assert left(LOADING) == (130, "", "interrupted: the lake stays as last published.\n")


def left(body: str, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that does this."""
    done = subprocess.run(
        [sys.executable, "-c", body, *words], cwd=ROOT, capture_output=True, text=True, timeout=10
    )
    return done.returncode, done.stdout, done.stderr


def test_what_nobody_reads_at_the_end_is_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    body = "import sys; from runtime.process.exit import leave; sys.stdout.write('said'); leave(7)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    python = [sys.executable, "-c", body]
    done = subprocess.run(python, cwd=ROOT, env=buffered, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 120  # what Python says of an output that could not be flushed
    assert b"BrokenPipeError" in done.stderr
