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
    found = invocation.open().plan()
    notes = found.pop("notes")
    if invocation.format == "json":
        emit_json(found)
    elif invocation.format == "csv":
        emit_rows(COLUMNS, _files(found), "csv")
    else:
        _describe(invocation, found)
    for note in notes:
        if invocation.format == "table":
            emit(note + "\n")
        else:
            invocation.say(note)
    return int(check and any(found[kind] for kind in WORK))


def _describe(invocation: Invocation, found: dict[str, Any]) -> None:
    if found["files"] and invocation.verbose:
        emit_rows(COLUMNS, _files(found), "table")
    elif found["files"]:
        columns = ("reason", "source", "files", "bytes")
        emit_rows(columns, _grouped(found), "table", right=("files", "bytes"))
    if found["bad_files"]:
        unreadable = [(file["path"], file["error"]) for file in found["bad_files"]]
        emit_rows(("unreadable file", "why"), unreadable, "table")
    for sentence in _sentences(found):
        emit(sentence + "\n")


def _sentences(found: dict[str, Any]) -> Iterator[str]:
    if found["new_tables"]:
        yield f"New in the code, to be filled: {', '.join(found['new_tables'])}."
    if found["changed_schemas"]:
        names = ", ".join(found["changed_schemas"])
        yield f"Another schema or key in the code: {names}. Rebuild with: run --full-refresh"
    if found["changed_rules"]:
        names = ", ".join(found["changed_rules"])
        yield f"Rules changed: {names}. Old rows stay as they are until: run --full-refresh"
    if found["unpublished"]:
        yield f"Written to, but not published, to be rolled back: {', '.join(found['unpublished'])}."
    if not any(found[kind] for kind in WORK):
        yield "Nothing to do."


def _files(found: dict[str, Any]) -> list[list[Any]]:
    return [[file[c] for c in COLUMNS] for file in found["files"]]


def _grouped(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    files: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for file in found["files"]:
        files[file["reason"], file["source"]] += 1
        sizes[file["reason"], file["source"]] += file["bytes"]
    return [(*group, f"{n:,}", size_text(sizes[group])) for group, n in files.items()]
