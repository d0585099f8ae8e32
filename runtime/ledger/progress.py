"""What a run tells while it works. The command line shows it; a library call stays silent."""

from __future__ import annotations

from typing import Protocol

from runtime.delta.change_set import Changes
from runtime.ledger.facts import State


class Progress(Protocol):
    """Someone who is told how a run goes."""

    def note(self, message: str) -> None:
        """Something happened that the user may want to know."""
        ...

    def listing(self, source: str, files: int) -> None:
        """So many files of a source are listed so far."""
        ...

    def work(self, files: int, content_bytes: int) -> None:
        """What the run will take in, told before its first batch."""
        ...

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        """A batch begins."""
        ...

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """A table of the batch is done."""
        ...

    def published(self, state: State) -> None:
        """The batch is visible."""
        ...


class Silent:
    """Tells nobody."""

    def note(self, message: str) -> None:
        """Nothing."""

    def listing(self, source: str, files: int) -> None:
        """Nothing."""

    def work(self, files: int, content_bytes: int) -> None:
        """Nothing."""

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        """Nothing."""

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """Nothing."""

    def published(self, state: State) -> None:
        """Nothing."""
