"""`history`: the published batches, each with its time and table versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from runtime.cli import complete_values
from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json, emit_rows
from runtime.cli.profiles import COUNTED, PART, shown
from runtime.text.amounts import change_text, when, whens

COMMIT = ("version", "at", "operation", "batch_id")
RECORDS = ("delivered", "accepted", "quarantined")
COUNTS = ("version", "inserted", "updated", "deleted", "rows")
RIGHT = ("batch", "files", *RECORDS, "seconds")
STATE = ("batch", "kind", "UTC", "files", *RECORDS, "changed in gold", "seconds", "engine")
NOTE = "note"
VERSION = ("batch_id", "at", "table", *COUNTS)
VERSIONS = (
    "A table's version is what other Delta readers take as versionAsOf. Records that a changed file no "
    "longer holds stay in the lake: deletion is never inferred."
)
COLUMNS = ("batch_id", *PART)
MORE = "--verbose lists every table's versions."


@command
@click.argument("table", required=False, shell_complete=complete_values.tables)
@click.option("--profile", is_flag=True, help="Where the time of runs went that kept it: run --profile.")
def history(invocation: Invocation, table: str | None, profile: bool) -> None:
    """Batches and states with every table's version; or one TABLE's commits with their batch.

    --verbose lists every table's version at every batch, as --format csv does.
    """
    if profile:
        _show_profiles(invocation, table)
        return
    entries = invocation.open().history(table)
    if invocation.format == "json":
        emit_json(entries)
    elif table is not None:
        emit_rows(COMMIT, [_commit(c) for c in entries], invocation.format)
    elif invocation.format == "csv":
        emit_rows(VERSION, _versions(entries), "csv")
    else:
        _describe(invocation, entries)
    invocation.say(VERSIONS if table is not None or invocation.verbose else f"{VERSIONS} {MORE}")


def _show_profiles(invocation: Invocation, table: str | None) -> None:
    """Print the stored profiles, only the parts of `table` if it is not None."""
    profiles = invocation.open().profiles()
    for run in profiles:
        run["parts"] = [part for part in run["parts"] if table in (None, part["table"])]
    if invocation.format == "json":
        emit_json(profiles)
        return
    parts = [(run["batch_id"], part) for run in profiles for part in run["parts"]]
    if invocation.format == "csv":
        emit_rows(COLUMNS, [(batch, *(part[name] for name in PART)) for batch, part in parts], "csv")
    else:
        emit_rows(COLUMNS, [(batch, *shown(part)) for batch, part in parts], "table", right=COUNTED)


def _describe(invocation: Invocation, states: list[dict[str, Any]]) -> None:
    notes = [_note(s) for s in states]
    # --as-of accepts the time in a row and finds the batch of that row.
    rows = [_state(s, at) for s, at in zip(states, whens([s["at"] for s in states]), strict=True)]
    if any(notes):
        rows = [(*row, note) for row, note in zip(rows, notes, strict=True)]
        emit_rows((*STATE, NOTE), rows, "table", right=RIGHT)
    else:
        emit_rows(STATE, rows, "table", right=RIGHT)
    if invocation.verbose:
        emit("\n")
        emit_rows(VERSION, _versions(states), "table")


def _commit(commit: dict[str, Any]) -> list[Any]:
    at = datetime.fromisoformat(commit["at"])
    return [at if name == "at" else commit[name] for name in COMMIT]


def _state(state: dict[str, Any], at: str) -> tuple[str, ...]:
    records = [f"{state['records'].get(name, 0):,}" for name in RECORDS]
    files = f"{sum(state['files'].values()):,}"
    changed = _changed(state)
    took = f"{state['seconds']:.1f}"
    return str(state["batch_id"]), state["kind"], at, files, *records, changed, took, state["engine"]


def _note(state: dict[str, Any]) -> str:
    """Whether the batch is pinned or vacuumed."""
    if state["vacuumed_at"]:
        return f"vacuumed {when(state['vacuumed_at'])}"
    return f"pinned: {state['pinned']}" if state["pinned"] is not None else ""


def _changed(state: dict[str, Any]) -> str:
    """The changes of gold, such as `users +12 ~3, time +40`."""
    if state["kind"] == "restore":
        return f"back to batch {state['base']}"
    if state["kind"] == "optimize":
        return "no row; small files merged"
    gold = {n.removeprefix("gold."): t for n, t in state["tables"].items() if n.startswith("gold.")}
    changes = [f"{name} {text}" for name, table in gold.items() if (text := change_text(table))]
    return ", ".join(changes) or "nothing"


def _versions(states: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (s["batch_id"], datetime.fromisoformat(s["at"]), name, *(table[c] for c in COUNTS))
        for s in states
        for name, table in s["tables"].items()
    ]
