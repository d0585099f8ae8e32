"""HTML of a diff for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.read.display import FIRST
from runtime.read.keys import key_text
from runtime.text.html import details, heading, html_table

if TYPE_CHECKING:
    from runtime.read.diff import Diff, TableDiff


def of_diff(diff: Diff) -> str:
    """The counts by table, then the first changes of each table that has some."""
    counts = [(name, *table.counts.values()) for name, table in diff.tables.items()]
    changed = (
        details(name, _changes(table), is_open=name.startswith("gold."))
        for name, table in diff.tables.items()
        if not table.is_empty
    )
    head = heading(f"batch {diff.from_batch} → batch {diff.to_batch}", "")
    return head + html_table(("table", "inserted", "updated", "deleted"), counts) + "".join(changed)


def _changes(table: TableDiff) -> str:
    """A line for each value that differs, in the first changed rows."""
    cells = [
        (change.change, key_text(tuple(change.key.values())), name, *(_side(s, name) for s in sides))
        for change in table.rows(FIRST)
        for sides in [(change.before, change.after)]
        for name in change.columns
    ]
    return html_table(("change", "key", "column", "before", "after"), cells)


def _side(row: Any, name: str) -> object:
    return "" if row is None else row[name]
