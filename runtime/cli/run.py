"""`run`: bring the lake up to date, once or repeatedly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation, tell, warn
from runtime.cli.display import display
from runtime.cli.output import csv_lines, emit, emit_json, emit_lines
from runtime.cli.profiles import lines_of
from runtime.errors import ConfigError, LeaseHeld, SourceError, UsageError
from runtime.process import limits
from runtime.text.amounts import when

if TYPE_CHECKING:
    from runtime.lake import Lakehouse
    from runtime.ledger.facts import Facts
    from runtime.run.runner import Report
    from runtime.settings.load import Settings

COUNTS = ("version", "inserted", "updated", "deleted", "rows")
LOOK = 'query "select level, count(*) n from gold.users group by level"'
LOOK_AT_QUARANTINE = "quarantine list"


@command
@click.option("--full-refresh", is_flag=True, help="Rebuild silver and gold from bronze.")
@click.option(
    "--accept-loss",
    is_flag=True,
    hidden=True,  # for damaged lakes only: the error that says so names it
    help="With --full-refresh: go on without records that bronze has lost.",
)
@click.option("--fail-fast", is_flag=True, help="Take nothing in if a file cannot be read.")
@click.option("--retry-bad", is_flag=True, help="Read unreadable files again, changed or not.")
@click.option("--again", metavar="SOURCE", help="Take known files of a source in again, as new deliveries.")
@click.option("--fail-on-quarantine", is_flag=True, help="Exit 1 if a record is quarantined.")
@click.option("--profile", is_flag=True, help="Tell where the time went, by table and step, and keep it.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Run again every SECONDS until interrupted.",
)
def run(
    invocation: Invocation,
    fail_on_quarantine: bool,
    watch: float | None,
    again: str | None,
    **options: bool,
) -> int:
    """Bring the lake up to date with its sources.

    Only new files are read, in batches of bounded size, each published as a whole. Exits 1 when a
    file could not be read, or every record of a source was rejected; the rest is taken in all the same.
    """
    if watch is not None and options["full_refresh"]:
        raise UsageError("--watch and --full-refresh: rebuild once, then watch.")
    limits.require_threads_and_memory()  # delta-rs, which claims the lease, blocks for ever without threads
    if watch is not None and again is not None:
        raise UsageError("--watch and --again: take the files in again once, then watch.")
    lake = invocation.open()
    printed = set[str]()
    for first, report in _reports(invocation, lake, watch, again, options):
        for note in dict.fromkeys(report.notes):
            if note not in printed:
                invocation.say(note)
        printed.update(report.notes)
        _show(invocation, lake, report, first=first)
        code = _code(report, fail_on_quarantine=fail_on_quarantine)
        if watch is None or (fail_on_quarantine and _quarantined(report)):
            return code
    raise AssertionError("unreachable: watching ends by an exception")


def _reports(
    invocation: Invocation, lake: Lakehouse, watch: float | None, again: str | None, options: dict[str, bool]
) -> Iterator[tuple[bool, Report]]:
    """A report per run, and whether it is the first. While watching, temporary errors are retried."""
    from runtime.process import profiling

    first = True
    while True:
        begun = time.monotonic()
        try:
            profile = options.get("profile", False)
            with profiling.taken(profile, since_start=first), display(invocation, lake.tables) as progress:
                report = lake.run(progress=progress, once=watch is None, again=again, **options)
            yield first, report
        except (LeaseHeld, SourceError, ConfigError) as error:
            # A source missing at the first run is a mistake; one that disappears later may come back.
            if watch is None or (first and isinstance(error, ConfigError)):
                raise
            warn(f"error: {error} Trying again in {watch:g} s.")
        first = False
        time.sleep(max(0.0, (watch or 0) - (time.monotonic() - begun)))


def _show(invocation: Invocation, lake: Lakehouse, report: Report, *, first: bool) -> None:
    """Print the report; the summary of each batch is already printed."""
    if invocation.format == "json":
        emit_json(report.as_json(), lines=True)
    elif invocation.format == "csv":
        columns = ("batch_id", "table", *COUNTS)
        emit_lines(csv_lines(columns, _rows(report.as_json()), header=first))
    elif first and not report.states and not report.failed:
        emit(_nothing_new(lake.settings, report.stands) + "\n")
    if report.profile and invocation.format != "json":
        tell("\n".join(lines_of(report.profile.as_json())))
    for file in report.failed:
        warn(f"could not read {file.uri}: {file.error}")
    for error in report.errors:
        warn(f"error: {error}")
    if report.states:
        invocation.say(
            f"next: {invocation.next_command(LOOK_AT_QUARANTINE if _quarantined(report) else LOOK)}"
        )


def _rows(report: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for batch in report["batches"]:
        for name, table in batch["tables"].items():
            yield (batch["batch_id"], name, *(table[c] for c in COUNTS))


def _nothing_new(settings: Settings, stands: Facts) -> str:
    sources = [s for s in (settings.song_data, settings.log_data) if s is not None]
    if not sources:
        return "Nothing new: no source is given; name them with --song-data and --log-data."
    where = " and ".join(sources)
    if stands.last is None:
        return f"Nothing new: there are no files to read in {where}."
    since = f"batch {stands.last.batch_id} of {when(stands.last.at)} UTC"
    again = f" Unreadable: {len(stands.bad)}; `status` lists them, `run --retry-bad` reads them again."
    return f"Nothing new in {where} since {since}.{again if stands.bad else ''}"


def _quarantined(report: Report) -> int:
    return sum(state.records.get("quarantined", 0) for state in report.states)


def _code(report: Report, *, fail_on_quarantine: bool) -> int:
    return int(bool(report.failed or report.errors) or (fail_on_quarantine and _quarantined(report) > 0))
