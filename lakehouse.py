"""Sparkify's lakehouse: the command line, and `from lakehouse import Lakehouse` for Python."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.lake import Lakehouse

__all__ = ["Lakehouse"]

OBJECTS_BETWEEN_COLLECTIONS = 100_000
ROOT = Path(__file__).resolve().parent
REEXECUTED = "_LAKEHOUSE_REEXECUTED"  # set for the process that replaces this one: it must not do so again


def __getattr__(name: str) -> object:
    """`Lakehouse`, loaded at first use: `--help` needs neither Delta nor the layers."""
    if name != "Lakehouse":
        raise AttributeError(f"module 'lakehouse' has no attribute {name!r}")
    import gold
    from runtime.lake import Lakehouse

    Lakehouse.tables = gold.TABLES
    Lakehouse.star = gold.STAR
    return Lakehouse


def use_environment() -> None:
    """Replace this process by the Python of `make setup`, if there is one and this Python lacks a package."""
    python = ROOT / ".venv" / "bin" / "python"
    is_second = os.environ.pop(REEXECUTED, None) is not None
    if is_second or not os.access(python, os.X_OK) or (ROOT / ".venv").samefile(sys.prefix):
        return
    if lacks_packages():
        os.environ[REEXECUTED] = "1"
        os.execv(python, [str(python), *sys.argv])


def lacks_packages() -> bool:
    """Whether a package that pyproject.toml declares is missing here, or has a version it does not allow."""
    try:
        import tomllib
        from importlib.metadata import version

        from packaging.requirements import Requirement

        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        declared = map(Requirement, project["dependencies"])
        return not all(package.specifier.contains(version(package.name)) for package in declared)
    except ImportError:  # a Python older than 3.11 has no tomllib
        return True
    except FileNotFoundError:  # installed, not a checkout
        return False


def main() -> int:
    """Run the command line; gives the exit code."""
    from runtime.errors import UsageError
    from runtime.process import allocator, limits, streams

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
    except (ImportError, TypeError) as failure:  # TypeError: click before 8.5
        ours = ("click", "rich", "pydantic", "yaml", "deltalake", "pyarrow")
        if getattr(failure, "name", None) not in ours and not lacks_packages():
            raise
        sys.stderr.write("run: make setup\n")
        return 2
    except KeyboardInterrupt:  # before anything has begun
        sys.stderr.write("interrupted: the lake stays as last published.\n")
        return 130
    return command_line()


def console() -> None:
    """The console script `lakehouse`: run the command line and end the process."""
    code = main()
    from runtime.process.exit import leave

    leave(code)


if __name__ == "__main__":
    use_environment()
    console()
