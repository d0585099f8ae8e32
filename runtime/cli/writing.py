"""Where a command writes what was asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import UsageError


@contextmanager
def written_to(command: str, out: Path, advice: str) -> Iterator[None]:
    """Raises UsageError where the block cannot write to `out`. A full disk is another matter."""
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(f"{command}: {out} cannot be written: {_reason(error)}. {advice}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):  # the first says "File exists"
        return "a part of this path is a file, not a folder"
    return f"{error.filename}: {os.strerror(error.errno or 0)}"
