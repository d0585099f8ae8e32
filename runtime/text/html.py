"""Pieces of HTML: heading, table, details, progress bar. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from runtime.text.values import as_text, visible


def of_progress(lines: Sequence[str], doing: str, done: int | None, steps: int) -> dict[str, str]:
    """A run's progress by MIME type: its lines so far, its current work, and `done` of `steps` tables.

    `done` is None while the number is unknown.
    """
    of = "" if done is None else f" ({done} of {steps} tables)"
    bar = "" if done is None else f'<progress value="{done}" max="{steps}"></progress> '
    html_lines = [*map(escaped, lines), *([bar + escaped(doing + of)] if doing else [])]
    plain = "\n".join(visible(line) for line in (*lines, *([doing + of] if doing else [])))
    return {"text/html": "<br>".join(html_lines), "text/plain": plain}


def heading(name: str, text: str) -> str:
    return f"<p><b>{escaped(name)}</b><br>{escaped(text)}</p>"


def details(summary: str, inner: str, *, is_open: bool = False) -> str:
    return f"<details{' open' * is_open}><summary>{escaped(summary)}</summary>{inner}</details>"


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escaped(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    text = as_text(value)
    align = ' style="text-align: right"' if isinstance(value, int | float) else ' style="text-align: left"'
    return f"<td{align}>{'<i>NULL</i>' if text is None else escaped(text)}</td>"


def escaped(text: str) -> str:
    return escape(visible(text))
