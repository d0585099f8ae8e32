"""Files that a command writes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import UsageError


@contextmanager
def written_to(command: str, out: Path, advice: str) -> Iterator[None]:
    """Raises UsageError where the block cannot write to `out`; the OSError itself for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(f"{command}: {out} cannot be written: {_reason(error)}. {advice}") from error


def replace_file(out: Path, text: str) -> None:
    """Replace a file atomically: if the disk fills up, the old one stays."""
    page = Path(os.path.realpath(out))  # a link stays a link
    if page.exists() and not page.is_file():  # a pipe, a terminal
        page.write_text(text, encoding="utf-8")
        return
    new = page.with_name(f".{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        if page.exists():
            shutil.copymode(page, new)
        new.replace(page)
    except PermissionError:  # the file is writable, its folder is not
        page.write_text(text, encoding="utf-8")
    finally:
        new.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):  # the first says "File exists"
        return "a part of this path is a file, not a folder"
    return f"{error.filename}: {os.strerror(error.errno or 0)}"
