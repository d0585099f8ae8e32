"""`status`: tables, batches, quarantine and lease of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json, emit_lines, emit_rows
from runtime.text.amounts import size_text, when
from runtime.text.values import visible

SIZES = ("rows", "version", "files", "bytes")


@command
def status(invocation: Invocation) -> None:
    """What is there: tables, rows, versions, bytes, last batch, quarantine, bad files, lease."""
    lake = invocation.open()
    found, upkeep = lake.overview()
    tables = found["tables"].items()
    if invocation.format == "json":
        emit_json(found)
    elif invocation.format == "csv":
        emit_rows(("table", *SIZES), [(n, *(t[s] for s in SIZES)) for n, t in tables], "csv")
    else:
        rows = [_row(name, table) for name, table in tables]
        emit_rows(("table", *SIZES), rows, "table", right=SIZES)
        _describe(lake.settings.lake, found["quarantine"], upkeep)


def _row(name: str, table: dict[str, int]) -> tuple[str, ...]:
    rows, files = f"{table['rows']:,}", f"{table['files']:,}"
    return name, rows, str(table["version"]), files, size_text(table["bytes"])


def _describe(lake: str, quarantine: dict[str, int], upkeep: dict[str, Any]) -> None:
    emit("\n")
    emit_lines(f"{label:12}{visible(text)}" for label, text in _facts(lake, quarantine, upkeep))
    if quarantine:
        emit("\n")
        emit_rows(("quarantined because", "records"), list(quarantine.items()), "table")
    if upkeep["bad_files"]:
        emit("\n")
        bad = [(file["path"], file["error"]) for file in upkeep["bad_files"]]
        emit_rows(("unreadable file", "why"), bad, "table")


def _facts(lake: str, quarantine: dict[str, int], upkeep: dict[str, Any]) -> Iterator[tuple[str, str]]:
    last, lease = upkeep["last"], upkeep["lease"]
    yield "lake", lake
    took = f"{last.seconds:.1f} s{f' on {last.engine}' if last.engine else ''}"
    yield "last batch", f"{last.batch_id} ({last.kind}), {when(last.at)} UTC, {took}"
    yield "quarantine", "see below" if quarantine else "empty"
    if upkeep["pins"]:
        yield "pinned", ", ".join(f"{batch} ({label})" for batch, label in sorted(upkeep["pins"].items()))
    yield "bad files", f"{len(upkeep['bad_files'])}, see below" if upkeep["bad_files"] else "none"
    for sentence in upkeep["left_out"]:
        yield "left out", sentence
    for sentence in upkeep["lost"]:
        yield "lost", sentence
    if lease is None:
        yield "lease", "free"
    else:
        yield "lease", f"held by `{lease['command']}`, process {lease['pid']} on {lease['host']}"
