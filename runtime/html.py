"""What a notebook shows of a lake, a snapshot, a table and a diff. All text that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from runtime.keys import key_text
from runtime.values import as_text, visible

if TYPE_CHECKING:
    from runtime.diff import Diff, TableDiff
    from runtime.ledger import State
    from runtime.snapshot import Snapshot, TableView
    from runtime.table import Table

FIRST = 5  # rows shown of a table


def of_table(view: TableView) -> str:
    """A table: name, grain, batch, version, rows; its columns with what they mean; its first rows."""
    rows = view.duckdb().limit(FIRST).to_arrow_table().to_pylist()
    names = view.table.column_names
    where = f"{_at(view.snapshot.state)}, version {view.version}, {view.rows:,} rows."
    parts = (
        _heading(view.name, f"{view.table.grain}. {where}"),
        _details("columns", _columns(view.table)),
        _table(names, ([row[name] for name in names] for row in rows)),
    )
    return "".join(parts)


def of_snapshot(snapshot: Snapshot) -> str:
    """All tables as of one state, each with its version, rows and grain."""
    state = snapshot.state
    rows = [
        (name, version, f"{state.tables[name]['rows']:,}", snapshot.tables[name].grain)
        for name, version in snapshot.versions.items()
    ]
    head = _heading(snapshot.store.root, f"{_at(state)}.")
    return head + _table(("table", "version", "rows", "grain"), rows)


def of_empty_lake(root: str) -> str:
    """A lake without a batch."""
    return _heading(root, "No batch is published yet: lake.run() takes the sources in.")


def of_diff(diff: Diff) -> str:
    """The counts by table, then the first changes of each table that has some."""
    counts = [(name, *table.counts.values()) for name, table in diff.tables.items()]
    changed = (
        _details(name, _changes(table), is_open=name.startswith("gold."))
        for name, table in diff.tables.items()
        if not table.is_empty
    )
    head = _heading(f"batch {diff.from_batch} → batch {diff.to_batch}", "")
    return head + _table(("table", "inserted", "updated", "deleted"), counts) + "".join(changed)


def of_progress(lines: Sequence[str], doing: str, done: int | None, steps: int) -> dict[str, str]:
    """A run at work, by MIME type: its lines so far, and below them what it does, `done` of so many steps."""
    of = "" if done is None else f" ({done} of {steps} tables)"
    bar = "" if done is None else f'<progress value="{done}" max="{steps}"></progress> '
    shown = [*map(_text, lines), *([bar + _text(doing + of)] if doing else [])]
    plain = "\n".join(visible(line) for line in (*lines, *([doing + of] if doing else [])))
    return {"text/html": "<br>".join(shown), "text/plain": plain}


def _changes(table: TableDiff) -> str:
    """A line for each value that differs, in the first changed rows."""
    cells = [
        (change.change, key_text(tuple(change.key.values())), name, *(_side(s, name) for s in sides))
        for change in table.rows(FIRST)
        for sides in [(change.before, change.after)]
        for name in change.columns
    ]
    return _table(("change", "key", "column", "before", "after"), cells)


def _side(row: Any, name: str) -> object:
    return "" if row is None else row[name]


def _columns(table: Table) -> str:
    rows = [(c.name, c.type, "" if c.required else "yes", c.comment) for c in table.columns]
    return _table(("column", "type", "may be NULL", "meaning"), rows)


def _at(state: State) -> str:
    return f"As of batch {state.batch_id}, published {state.published_at:%Y-%m-%d %H:%M:%S} UTC"


def _heading(name: str, text: str) -> str:
    return f"<p><b>{_text(name)}</b><br>{_text(text)}</p>"


def _details(summary: str, inner: str, *, is_open: bool = False) -> str:
    return f"<details{' open' * is_open}><summary>{_text(summary)}</summary>{inner}</details>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    text = as_text(value)
    align = ' style="text-align: right"' if isinstance(value, int | float) else ' style="text-align: left"'
    return f"<td{align}>{'<i>NULL</i>' if text is None else _text(text)}</td>"


def _text(text: str) -> str:
    return escape(visible(text))
