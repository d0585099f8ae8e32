"""How a process ends that has nothing left to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BODY = """
import atexit, sys, threading, time
from runtime.leaving import leave

def late():
    time.sleep(0.3)
    print("the thread")

atexit.register(print, "registered")
threading.Thread(target=late).start()
sys.stdout.write("said ")
leave(7)
"""


def test_a_process_leaves_once_its_threads_and_all_that_is_registered_had_their_turn() -> None:
    done = subprocess.run([sys.executable, "-c", BODY], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "said the thread\nregistered\n", "")


def test_what_nobody_reads_at_the_end_is_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    body = "import sys; from runtime.leaving import leave; sys.stdout.write('said'); leave(7)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    python = [sys.executable, "-c", body]
    done = subprocess.run(python, cwd=ROOT, env=buffered, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 120  # what Python says of an output that could not be flushed
    assert b"BrokenPipeError" in done.stderr
