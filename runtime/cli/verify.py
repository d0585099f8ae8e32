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
ALWAYS = ("rules",)  # questions whose answer is told even where it is no damage


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
        found = lake.verify(table, progress=progress)
    if invocation.format == "json":
        emit_json(found.as_json())
    elif invocation.format == "csv":
        emit_rows(COLUMNS, [[getattr(c, name) for name in COLUMNS] for c in found.checks], "csv")
    else:
        emit_lines(_told(found, each=invocation.verbose))
    wrong = sum(not check.ok for check in found.checks) - (found.refused is not None)
    if found.refused and not wrong:
        raise found.refused  # what could be asked has been answered
    verdict = f"{count(wrong, 'check')} found damage" if wrong else "nothing is damaged"
    invocation.say(f"batch {found.batch_id}: {count(len(found.checks), 'check')}, {verdict}")
    return int(not found.ok)


def _told(verdict: Verdict, *, each: bool) -> Iterator[str]:
    """A line a question, and what there is to say about each table."""
    checks = verdict.checks
    for question in dict.fromkeys(check.check for check in checks):
        invocation = [check for check in checks if check.check == question]
        quiet = [] if each else [c for c in invocation if c.ok and not c.detail and question not in ALWAYS]
        if quiet:
            tables = count(len({c.table for c in quiet}), "table") if quiet[0].table else quiet[0].found
            yield f"{'ok':9}{question:12}{tables}"
        for check in invocation:
            if check not in quiet:
                yield from _lines(check, "unknown" if verdict.refused and check is checks[-1] else "DAMAGED")


def _lines(check: Check, ill: str) -> Iterator[str]:
    where = f"{check.table}: " if check.table else ""
    yield visible(f"{'ok' if check.ok else ill:9}{check.check:12}{where}{check.found}")
    for line in check.detail:
        yield visible(f"{'':21}{line}")
