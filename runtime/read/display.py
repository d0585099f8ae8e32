"""HTML of a lake, a snapshot and a table for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.text.html import details, heading, html_table

if TYPE_CHECKING:
    from runtime.ledger.facts import State
    from runtime.read.snapshot import Snapshot, TableView
    from runtime.table import Table


FIRST = 5  # rows listed per table


def of_table(view: TableView) -> str:
    """A table: name, grain, batch, version, row count; its columns with their meaning; its first rows."""
    rows = view.duckdb().limit(FIRST).to_arrow_table().to_pylist()
    names = view.table.column_names
    where = f"{_at(view.snapshot.state)}, version {view.version}, {view.rows:,} rows."
    parts = (
        heading(view.name, f"{view.table.grain}. {where}"),
        details("columns", _columns(view.table)),
        html_table(names, ([row[name] for name in names] for row in rows)),
    )
    return "".join(parts)


def of_snapshot(snapshot: Snapshot) -> str:
    """All tables as of one state, each with its version, rows and grain."""
    state = snapshot.state
    rows = [
        (name, version, f"{state.tables[name]['rows']:,}", snapshot.tables[name].grain)
        for name, version in snapshot.versions.items()
    ]
    head = heading(snapshot.store.root, f"{_at(state)}.")
    return head + html_table(("table", "version", "rows", "grain"), rows)


def of_empty_lake(root: str) -> str:
    """A lake without a batch."""
    return heading(root, "No batch is published yet: lake.run() takes the sources in.")


def _columns(table: Table) -> str:
    rows = [(c.name, c.type, "" if c.required else "yes", c.comment) for c in table.columns]
    return html_table(("column", "type", "may be NULL", "meaning"), rows)


def _at(state: State) -> str:
    return f"As of batch {state.batch_id}, published {state.published_at:%Y-%m-%d %H:%M:%S} UTC"
