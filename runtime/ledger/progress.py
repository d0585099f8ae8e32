"""Progress events of a run. The command line shows them; a library call stays silent."""

from __future__ import annotations

from typing import Protocol

from runtime.delta.change_set import Changes
from runtime.ledger.facts import State


class Progress(Protocol):
    """Receives the events of a run."""

    def note(self, message: str) -> None:
        """A remark for the user."""

    def listing(self, source: str, files: int) -> None:
        """The number of files of a source that are listed so far."""

    def work(self, files: int, content_bytes: int) -> None:
        """The files and bytes that the run will take in, before its first batch."""

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        """A batch begins."""

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """A table of the batch is done."""

    def published(self, state: State) -> None:
        """The batch is published."""


class Silent:
    """Ignores all events."""

    def note(self, message: str) -> None: ...
    def listing(self, source: str, files: int) -> None: ...
    def work(self, files: int, content_bytes: int) -> None: ...
    def batch(self, batch_id: int, files: int, content_bytes: int) -> None: ...
    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None: ...
    def published(self, state: State) -> None: ...
