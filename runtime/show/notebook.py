"""The progress of a run in a notebook: a line per published batch, and a bar for the current one."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from runtime.ledger.progress import Progress, Silent
from runtime.text import html

if TYPE_CHECKING:
    from runtime.delta.change_set import Changes
    from runtime.ledger.facts import State


SHOWN = 20  # lines; a run of hundreds of batches would push the notebook away


def progress_here(tables: Collection[str]) -> Progress:
    """A bar in a notebook, otherwise nothing: IPython in a terminal cannot update its output."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return NotebookProgress(tables) if hasattr(shell, "kernel") else Silent()


class NotebookProgress:
    """One cell output, updated during the run. A run with nothing to do has no output."""

    def __init__(self, tables: Collection[str]) -> None:
        self._steps = len(tables)
        self._doing, self._done = "", 0
        self._lines: list[str] = []
        self._output: Any = None

    def note(self, message: str) -> None:
        """Add a line."""
        self._lines.append(message)
        self._show()

    def listing(self, source: str, files: int) -> None:
        """Show the progress of a long listing."""
        self._show(f"listing {source}: {files:,} files so far")

    def work(self, files: int, content_bytes: int) -> None:
        """Show the input of the run."""
        self._show(f"to take in: {_size(files, content_bytes)}")

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        """Show the bar of a batch."""
        self._doing, self._done = f"batch {batch_id}: {_size(files, content_bytes)}", 0
        self._show(self._doing, 0)

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """Advance the bar."""
        self._done += 1
        self._show(f"{self._doing}, {name}", self._done)

    def published(self, state: State) -> None:
        """Replace the bar with the summary of the batch."""
        from runtime.show.summary import summary

        self._lines.append(summary(state))
        self._show()

    def _show(self, doing: str = "", done: int | None = None) -> None:
        content = html.of_progress(self._lines[-SHOWN:], doing, done, self._steps)
        if self._output is not None:
            self._output.update(content, raw=True)
            return
        from IPython.display import display

        self._output = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]


def _size(files: int, content_bytes: int) -> str:
    from runtime.text.amounts import count, size_text

    return f"{count(files, 'file')}, {size_text(content_bytes)}"
