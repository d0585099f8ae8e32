"""`verify`: is the data right?"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.display import display
from runtime.cli.output import emit_json, emit_lines, emit_rows
from runtime.cli.parameters import table_option
from runtime.text.amounts import count
from runtime.text.values import visible
from runtime.verify.verdict import Check, Verdict

COLUMNS = ("check", "table", "ok", "found", "detail")
ALWAYS = ("rules",)  # checks printed even without damage


@command
@table_option("table", "T")
def verify(invocation: Invocation, table: tuple[str, ...]) -> int:
    """Is the data right? Logs, files, keys, references, counts, and a rebuild to compare.

    Silver and gold are made from bronze once more, beside the lake, and compared row by row. Reads what
    was published last, also while a run is at work. Exits 1 if anything is damaged; rules that changed
    since the rows were made are no damage. --verbose tells of each table what was found.
    """
    lake = invocation.open()
    with display(invocation, lake.tables) as progress:
        verdict = lake.verify(table, progress=progress)
    if invocation.format == "json":
        emit_json(verdict.as_json())
    elif invocation.format == "csv":
        emit_rows(COLUMNS, [[getattr(c, name) for name in COLUMNS] for c in verdict.checks], "csv")
    else:
        emit_lines(_told(verdict, each=invocation.verbose))
    wrong = sum(not check.ok for check in verdict.checks) - (verdict.refused is not None)
    if verdict.refused and not wrong:
        raise verdict.refused  # every other check has passed
    outcome = f"{count(wrong, 'check')} found damage" if wrong else "nothing is damaged"
    invocation.say(f"batch {verdict.batch_id}: {count(len(verdict.checks), 'check')}, {outcome}")
    return int(not verdict.ok)


def _told(verdict: Verdict, *, each: bool) -> Iterator[str]:
    """A line per check, and the details of each table."""
    checks = verdict.checks
    for name in dict.fromkeys(check.check for check in checks):
        results = [check for check in checks if check.check == name]
        quiet = [] if each else [c for c in results if c.ok and not c.detail and name not in ALWAYS]
        if quiet:
            tables = count(len({c.table for c in quiet}), "table") if quiet[0].table else quiet[0].found
            yield f"{'ok':9}{name:12}{tables}"
        for check in results:
            if check not in quiet:
                yield from _lines(check, "unknown" if verdict.refused and check is checks[-1] else "DAMAGED")


def _lines(check: Check, ill: str) -> Iterator[str]:
    where = f"{check.table}: " if check.table else ""
    yield visible(f"{'ok' if check.ok else ill:9}{check.check:12}{where}{check.found}")
    for line in check.detail:
        yield visible(f"{'':21}{line}")
