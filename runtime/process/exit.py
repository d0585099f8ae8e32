"""The end of a process that has nothing left to say."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from typing import NoReturn

STOPPED = (130, 143)  # by a signal: whoever sent it waits for the end, and for nothing else
# Seconds for what is at work then. A query that the engine cannot leave may last, and where an interrupt met
# gRPC with a lock in its hands, the threads that release a query's results wait for that lock for ever.
PATIENCE = 1.0


def leave(code: int) -> NoReturn:
    """End the process with this exit code, once everything that waits for the end has had its turn; where the
    command was stopped, after a second at most.

    Python would then take every module and object apart, one by one: a third of a second with an engine
    loaded, for memory that the system takes back at once.
    """
    if code in STOPPED:
        _end_within(PATIENCE, code)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # The command is done: a Ctrl-C only says that nobody wants to wait.
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    # As Python begins its own end: idle workers of pools are told to go, which nobody else tells them, and
    # all threads are waited for.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the reader has gone, or the disk is full: Python would complain, and say so by 120
        sys.exit(code)
    os._exit(code)


def _end_within(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
