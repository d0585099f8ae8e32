"""Paths of local folders that every engine reads literally.

Sail reads a path as a URL in some places and as a pattern in others: it writes a table below `my lake` to
`my%20lake`, without an error. So an engine reaches a folder with unusual characters in its name through a
symbolic link with a plain name.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

# Characters that both engines read literally, in a path and in backticks in SQL.
_PLAIN = re.compile(r"[A-Za-z0-9/._=@:,+-]*")


def plain(uri: str) -> str:
    """The same folder by a path of plain characters; a URI of an object store unchanged."""
    if "://" in uri or _PLAIN.fullmatch(uri):
        return uri
    parts = Path(uri).parts
    last = max(number for number, part in enumerate(parts) if not _PLAIN.fullmatch(part))
    return str(Path(_link(str(Path(*parts[: last + 1]))), *parts[last + 1 :]))


@cache
def _link(folder: str) -> str:
    Path(folder).mkdir(parents=True, exist_ok=True)  # writing through a link needs an existing target
    links = tempfile.mkdtemp(prefix="lakehouse-")
    atexit.register(shutil.rmtree, links, ignore_errors=True)
    link = Path(links, "lake")
    link.symlink_to(folder, target_is_directory=True)
    return str(link)
