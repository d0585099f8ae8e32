"""Standard streams for a process that starts without them or in an ASCII locale."""

from __future__ import annotations

import os
import sys


def make_usable() -> None:
    """Open each missing standard stream on /dev/null, and let stdout and stderr accept any text.

    In the order of the file descriptors: otherwise a file opened later would get the descriptor of a closed
    stream, and a library's output would go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        # In an ASCII locale, box-drawing characters and names would raise UnicodeEncodeError.
        if not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
