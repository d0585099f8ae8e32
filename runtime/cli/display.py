"""The progress of a run: lines on stderr, and a summary of each published batch."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Self

from runtime.cli.context import Invocation, tell
from runtime.cli.output import coloured, emit
from runtime.show.summary import summary
from runtime.text.amounts import change_text, count, size_text

if TYPE_CHECKING:
    from runtime.delta.change_set import Changes
    from runtime.ledger.facts import State


COLOURS = {"+": "32", "~": "33", "-": "31"}
VERB_WIDTH, CHANGE_WIDTH = len("unchanged"), len("+100,000 ~1,000")


class Display:
    """Prints a line per table to stderr. With --format table, a batch's summary is data on stdout."""

    def __init__(self, invocation: Invocation, tables: Collection[str]) -> None:
        self.invocation, self.tables = invocation, tables
        self._name_width = max(map(len, tables))
        self._coloured = coloured(sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Free the terminal for other output."""

    def note(self, message: str) -> None:
        self.invocation.say(message)

    def listing(self, source: str, files: int) -> None:
        """Report the progress of a long listing."""
        self.invocation.detail(f"listing {source}: {files:,} files so far")

    def work(self, files: int, content_bytes: int) -> None:
        """Report the input of the run, before its first batch."""
        self.invocation.detail(f"to take in: {count(files, 'file')}, {size_text(content_bytes)}")

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        self.invocation.detail(f"batch {batch_id}: {count(files, 'file')}, {size_text(content_bytes)}")

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """`gold.users  merge  +12 ~3  0.2 s`"""
        if not self.invocation.quiet:
            change = self._changes(changes)
            line = f"{name:{self._name_width}}  {verb:{VERB_WIDTH}}  {change}  {seconds:5.1f} s"
            tell(line)

    def published(self, state: State) -> None:
        """Print the summary of the batch."""
        self.pause()
        if self.invocation.format == "table":
            emit(summary(state) + "\n")
        else:
            self.invocation.say(summary(state))

    def _changes(self, changes: Changes) -> str:
        counts = {name: getattr(changes, name) for name in ("inserted", "updated", "deleted")}
        text = change_text(counts)
        gap = " " * (CHANGE_WIDTH - len(text))
        words = [f"\x1b[{COLOURS[w[0]]}m{w}\x1b[0m" if self._coloured else w for w in text.split()]
        return " ".join(words) + gap


def display(invocation: Invocation, tables: Collection[str]) -> Display:
    """The display of a run: with bars where stderr is a terminal."""
    if invocation.quiet or not sys.stderr.isatty():
        return Display(invocation, tables)
    from runtime.cli.bars import DisplayWithBars

    return DisplayWithBars(invocation, tables)
