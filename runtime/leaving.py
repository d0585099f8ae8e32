"""The end of a process that has nothing left to say."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process with this exit code, once everything that waits for the end has had its turn.

    Python would then take every module and object apart, one by one: a third of a second with an engine
    loaded, for memory that the system takes back at once.
    """
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the reader has gone, or the disk is full: Python would complain, and say so by 120
        sys.exit(code)
    os._exit(code)
