"""Progress bars on stderr, below the lines; each is removed when its work is done."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from runtime.cli.context import Invocation
from runtime.cli.display import Display
from runtime.delta.change_set import Changes
from runtime.text.amounts import size_text


class DisplayWithBars(Display):
    """The lines of a run above two bars: bytes of the run, tables of the batch."""

    def __init__(self, invocation: Invocation, tables: Collection[str]) -> None:
        super().__init__(invocation, tables)
        self._total = self._done = self._step = 0.0
        self._bars = bars()

    def pause(self) -> None:
        """Remove the bars."""
        self._bars.stop()

    def listing(self, source: str, files: int) -> None:
        """Show a bar without a total: the number of files is not known yet."""
        self.pause()
        self._bars = bars()
        self._bars.add_task(f"listing {source}", total=None, of=f"{files:,} files so far")
        self._bars.start()

    def work(self, files: int, content_bytes: int) -> None:
        """Set the total of the bytes bar."""
        self.pause()
        super().work(files, content_bytes)
        self._total, self._done = content_bytes, 0.0

    def batch(self, batch_id: int, files: int, content_bytes: int) -> None:
        """Show both bars. A rebuild publishes several chunks; its total grows with each."""
        self.pause()
        super().batch(batch_id, files, content_bytes)
        self._step = content_bytes / len(self.tables)
        self._total = max(self._total, self._done + content_bytes)
        self._bars = bars()
        done, size = int(self._done), size_text(self._total)
        self._bytes = self._bars.add_task("bytes", total=self._total, completed=done, of=size)
        of = f"{len(self.tables)} tables"
        self._table = self._bars.add_task(f"batch {batch_id}", total=len(self.tables), of=of)
        self._bars.start()

    def table(self, name: str, verb: str, changes: Changes, seconds: float) -> None:
        """Advance both bars."""
        super().table(name, verb, changes, seconds)
        self._done += self._step
        self._bars.update(self._bytes, completed=self._done)
        self._bars.advance(self._table)


def bars() -> Progress:
    """Bars on stderr, erased at the end. A task has a description and `of`, its total as text."""
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("of {task.fields[of]}", markup=False),
        TimeElapsedColumn(),
    ]
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False)
