"""`sample`: generated data to try the lakehouse with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from runtime.cli.commands import command
from runtime.cli.context import Invocation
from runtime.cli.output import emit, emit_json
from runtime.cli.output_file import written_to
from runtime.text.amounts import count

ProgressCallback = Callable[[int, int], None]


@command
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where.")
@click.option("--events", type=int, default=8_000, show_default=True, help="Events.")
@click.option("--songs", type=int, default=500, show_default=True, help="Songs in the catalogue.")
@click.option("--days", type=int, default=30, show_default=True, help="Days, one log file each.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other data.")
@click.option("--dirty", is_flag=True, help="Add the faults of real deliveries.")
def sample(invocation: Invocation, out: Path, **arguments: Any) -> None:
    """Deterministic Sparkify-like data of our own.

    Writes song_data/, log_data/ and truth.json, the answers known while generating. The same
    arguments give the same bytes.
    """
    from runtime.sample import write_sample

    advice = "Name a folder with --out that is yours to write in; it may be new."
    with written_to("sample", out, advice), _progress(invocation) as on_progress:
        truth = write_sample(out, progress=on_progress, **arguments)
    if invocation.format == "json":
        emit_json({"out": str(out), "arguments": truth["arguments"], "records": truth["records"]})
    else:
        emit(_written(out, arguments) + "\n")
    where = shlex.quote(str(out / "song_data")), shlex.quote(str(out / "log_data"))
    words = f"run --song-data {where[0]} --log-data {where[1]}"
    if arguments["dirty"] and invocation.target is None and invocation.lake is None:
        words += f" --lake {shlex.quote(str(out / 'lakehouse'))}"  # not into a lake with other data
    invocation.say(f"next: {invocation.next_command(words)}")


def _written(out: Path, arguments: dict[str, Any]) -> str:
    events, songs = count(arguments["events"], "event"), count(arguments["songs"], "song")
    dirt = " and dirt" if arguments["dirty"] else ""
    late = "; late/song_data, to be delivered after the rest" if arguments["dirty"] else ""
    return (
        f"{out}: log_data with {events}{dirt} over {count(arguments['days'], 'day')}; "
        f"song_data with {songs}{late}; the answers in truth.json"
    )


@contextmanager
def _progress(invocation: Invocation) -> Iterator[ProgressCallback | None]:
    if invocation.quiet or not sys.stderr.isatty():
        yield None
        return
    from runtime.cli.bars import bars

    with bars() as progress:
        task = progress.add_task("events", total=None, of="")

        def on_progress(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of, of=f"{of:,}")

        yield on_progress
