"""The shared options of one command line, and how it opens the lake and prints messages."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.text.values import visible

if TYPE_CHECKING:
    from runtime.lake import Lakehouse
    from runtime.settings.load import Settings


LAKE_FLAGS = ("lake", "song_data", "log_data", "engine")


@dataclass(frozen=True)
class Invocation:
    """The shared options of one command line; None where an option is absent."""

    target: str | None = None
    lake: str | None = None
    song_data: str | None = None
    log_data: str | None = None
    engine: str | None = None
    set: Sequence[str] = ()
    format: str = "table"
    quiet: bool = False
    verbose: bool = False
    debug: bool = False

    def open(self) -> Lakehouse:
        """Open the lake that the options name. Raises ConfigError."""
        from lakehouse import Lakehouse

        options = {flag: getattr(self, flag) for flag in LAKE_FLAGS}
        lake = Lakehouse.open(self.target, set=self.set, **options)
        if self.debug or self.verbose:
            for key, where in sorted(lake.settings.origin.items()):
                self.say(f"{key} = {_value(lake.settings, key)}  ({where})")
        return lake

    def say(self, message: str) -> None:
        """Print a message to stderr, unless --quiet."""
        if not self.quiet:
            warn(message)

    def detail(self, message: str) -> None:
        """Print a message to stderr with --verbose."""
        if self.verbose:
            self.say(message)

    def next_command(self, words: str) -> str:
        """A command line to suggest, for the same lake."""
        for flag in ("target", "lake"):
            if (value := getattr(self, flag)) is not None:
                words += f" --{flag} {shlex.quote(value)}"
        return f"python lakehouse.py {words}"


def warn(message: str) -> None:
    """Print a line to stderr with control characters escaped."""
    tell(visible(message, keep="\n"))


def tell(line: str) -> None:
    """Print a line to stderr unchanged. A closed pipe there must not stop a run."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except BrokenPipeError:
        return


def _value(settings: Settings, key: str) -> object:
    group, _, inner = key.partition(".")
    if group == "spark" and inner:
        return settings.spark[key]
    return getattr(settings.s3, inner) if inner else getattr(settings, key)
