"""`doctor`: machine and upkeep."""

from __future__ import annotations

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit_json, emit_rows

COLUMNS = ("check", "ok", "found", "mend")


@command
def doctor(invocation: Invocation) -> int:
    """Are machine and upkeep right? Each finding with the command that mends it; exit 1 if not.

    It changes nothing. Every table is opened by every library at hand; with Java that takes Spark's start.
    """
    found = invocation.open().doctor()
    well = all(finding.is_well for finding in found)
    if invocation.format == "json":
        emit_json({"ok": well, "checks": [finding.as_dict() for finding in found]})
    else:
        rows = [(f.check, "yes" if f.is_well else "NO", f.found, f.mend) for f in found]
        emit_rows(COLUMNS, rows, invocation.format)
    return 0 if well else 1
