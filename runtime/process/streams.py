"""The streams of a process, whatever it was started with."""

from __future__ import annotations

import os
import sys


def make_usable() -> None:
    """Give a process that was started without a stream an empty one, and let the others take any text.

    In the order of their numbers: a file opened later would get the number of a stream that is closed, and
    what a library prints would go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        # In a locale of ASCII alone, a rule of a table or a name would be an error.
        if not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
