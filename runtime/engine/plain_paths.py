"""Names for local folders that every engine takes for what they are.

Sail reads a path as a URL in some places and as a pattern in others: a table below `my lake` is written to
`my%20lake`, without an error. So a folder whose name holds anything unusual is given to an engine through
a symbolic link with a plain name.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

# What both engines take literally, in a path and between the backticks of a statement.
_PLAIN = re.compile(r"[A-Za-z0-9/._=@:,+-]*")


def plain(uri: str) -> str:
    """The same table or folder under a name of plain characters; a URI of an object store as it is."""
    if "://" in uri or _PLAIN.fullmatch(uri):
        return uri
    parts = Path(uri).parts
    last = max(number for number, part in enumerate(parts) if not _PLAIN.fullmatch(part))
    return str(Path(_link(str(Path(*parts[: last + 1]))), *parts[last + 1 :]))


@cache
def _link(folder: str) -> str:
    Path(folder).mkdir(parents=True, exist_ok=True)  # a link to nothing could not be written through
    links = tempfile.mkdtemp(prefix="lakehouse-")
    atexit.register(shutil.rmtree, links, ignore_errors=True)
    link = Path(links, "lake")
    link.symlink_to(folder, target_is_directory=True)
    return str(link)
