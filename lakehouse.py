"""Sparkify's lakehouse: the command line, and `from lakehouse import Lakehouse` for Python."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from runtime.errors import UsageError
from runtime.process import allocator, limits, streams
from runtime.process.exit import leave

if TYPE_CHECKING:
    from runtime.lake import Lakehouse

__all__ = ["Lakehouse"]

OBJECTS_BETWEEN_COLLECTIONS = 100_000


def __getattr__(name: str) -> object:
    """`Lakehouse`, loaded at first use: `--help` needs neither Delta nor the layers."""
    if name != "Lakehouse":
        raise AttributeError(f"module 'lakehouse' has no attribute {name!r}")
    import gold
    from runtime.lake import Lakehouse

    Lakehouse.tables = gold.TABLES
    Lakehouse.star = gold.STAR
    return Lakehouse


def main() -> int:
    """Run the command line; gives the exit code."""
    streams.make_usable()
    try:
        limits.require_files()
    except UsageError as wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return wrong.exit_code
    # Pydantic would look through all installed packages for plugins, a tenth of what `status` takes.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Nor is this a notebook: PySpark would load IPython and what Jupyter talks by, to see.
    sys.modules.setdefault("IPython", None)  # type: ignore[arg-type]
    # Modules make most of the objects, and stay: to look for garbage among them as often as Python does
    # by default took as much time again.
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    allocator.give_back(at_once=True)  # Arrow is loaded before a run knows its size
    try:
        from runtime.cli import main as command_line
    except ModuleNotFoundError as missing:
        if missing.name not in ("click", "rich", "pydantic", "yaml", "deltalake", "pyarrow"):
            raise
        sys.stderr.write("run: make setup\n")
        return 2
    except KeyboardInterrupt:  # before anything has begun
        sys.stderr.write("interrupted: the lake stays as last published.\n")
        return 130
    return command_line()


if __name__ == "__main__":
    leave(main())
