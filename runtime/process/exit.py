"""Exit without Python's slow teardown."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from typing import NoReturn

STOPPED = (130, 143)  # ended by SIGINT or SIGTERM: the sender waits only for the end
# Seconds for threads to finish after a signal. A query that the engine cannot cancel may take long. And an
# interrupt inside gRPC may leave a lock held, for which the threads that release results wait forever.
PATIENCE = 1.0


def leave(code: int) -> NoReturn:
    """End the process with `code` after its threads have ended and its exit handlers have run.

    After a signal it waits `PATIENCE` seconds at most. It skips the teardown of every module and object,
    which takes Python a third of a second with an engine loaded.
    """
    if code in STOPPED:
        _end_within(PATIENCE, code)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # The command is complete: a Ctrl-C means only that the user does not want to wait.
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    # As in Python's own shutdown: this stops the idle workers of pools and joins all threads.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # broken pipe or full disk: leave it to Python's own exit, which reports it as code 120
        sys.exit(code)
    os._exit(code)


def _end_within(seconds: float, code: int) -> None:
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
