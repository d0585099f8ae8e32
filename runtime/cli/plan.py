"""`plan`: what the next run would do, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json, emit_rows
from runtime.text.amounts import size_text

COLUMNS = ("path", "source", "bytes", "reason")
WORK = ("files", "bad_files", "new_tables", "changed_schemas", "unpublished")


@command
@click.option("--check", is_flag=True, help="Exit 1 if there is work.")
def plan(invocation: Invocation, check: bool) -> int:
    """What the next run would do, and why; starts nothing.

    --verbose lists every file.
    """
    work = invocation.open().plan()
    notes = work.pop("notes")
    if invocation.format == "json":
        emit_json(work)
    elif invocation.format == "csv":
        emit_rows(COLUMNS, _files(work), "csv")
    else:
        _describe(invocation, work)
    for note in notes:
        if invocation.format == "table":
            emit(note + "\n")
        else:
            invocation.say(note)
    return int(check and any(work[kind] for kind in WORK))


def _describe(invocation: Invocation, work: dict[str, Any]) -> None:
    if work["files"] and invocation.verbose:
        emit_rows(COLUMNS, _files(work), "table")
    elif work["files"]:
        columns = ("reason", "source", "files", "bytes")
        emit_rows(columns, _grouped(work), "table", right=("files", "bytes"))
    if work["bad_files"]:
        unreadable = [(file["path"], file["error"]) for file in work["bad_files"]]
        emit_rows(("unreadable file", "why"), unreadable, "table")
    for sentence in _sentences(work):
        emit(sentence + "\n")


def _sentences(work: dict[str, Any]) -> Iterator[str]:
    if work["new_tables"]:
        yield f"New in the code, to be filled: {', '.join(work['new_tables'])}."
    if work["changed_schemas"]:
        names = ", ".join(work["changed_schemas"])
        yield f"Another schema or key in the code: {names}. Rebuild with: run --full-refresh"
    if work["changed_rules"]:
        names = ", ".join(work["changed_rules"])
        yield f"Rules changed: {names}. Old rows stay as they are until: run --full-refresh"
    if work["unpublished"]:
        yield f"Written to, but not published, to be rolled back: {', '.join(work['unpublished'])}."
    if not any(work[kind] for kind in WORK):
        yield "Nothing to do."


def _files(work: dict[str, Any]) -> list[list[Any]]:
    return [[file[c] for c in COLUMNS] for file in work["files"]]


def _grouped(work: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    files: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for file in work["files"]:
        files[file["reason"], file["source"]] += 1
        sizes[file["reason"], file["source"]] += file["bytes"]
    return [(*group, f"{n:,}", size_text(sizes[group])) for group, n in files.items()]
