"""Whether cost follows the new data: the same day onto lakes of 1 to 30 million events; memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import reading
from benchmarks.cases import Workspace
from benchmarks.data import Sources, sources
from benchmarks.processes import Run, figures, run

MONTHS = (1, 10, 30)  # of a million events each
MINUTES_A_MONTH, GB_A_MONTH = 1.5, 1.5  # on two cores; making the events takes most of the time
SMALL_BATCHES = 200


def measured(folder: Path, rounds: int, sizes: Sequence[int] = MONTHS) -> dict[str, Any]:
    """One more day onto each lake, in turn; the peaks of the loads; ten months in one file; a month, read."""
    total, longest = sum(sizes), max((m for m in sizes if m <= 10), default=min(sizes))
    print(
        f"about {total * MINUTES_A_MONTH:.0f} minutes and {total * GB_A_MONTH:.0f} GB of disk: "
        f"{total} million events are made and loaded",
        flush=True,
    )
    lakes = {months: _loaded(folder, months) for months in sizes}
    days: dict[int, list[Run]] = {months: [] for months in sizes}
    for _ in range(rounds):
        for months, (at, _) in lakes.items():
            days[months].append(_one_more_day(at))
    return {
        "loads": {f"{m}M": figures([load]) for m, (_, load) in lakes.items()},
        "one more day": {f"{m}M": figures(runs) for m, runs in days.items()},
        "after small batches": figures([_after_small_batches(lakes[min(sizes)][0]) for _ in range(rounds)]),
        "one large file": figures([_one_file(folder, lakes[longest][0])]),
        "months in one file": longest,
        "month": reading.month(lakes[longest][0].out("lake on sail"), rounds),
    }


def _loaded(folder: Path, months: int) -> tuple[Workspace, Run]:
    """A lake of so many months of a million events each."""
    made = sources(folder, months * 1_000_000, days=30 * months)
    at = Workspace(folder / f"large-{months}", made)
    shutil.rmtree(at.folder, ignore_errors=True)
    return at, _said(f"{months}M: load", run(at.ours("sail", "run")))


def _one_more_day(at: Workspace) -> Run:
    at.before_the_day("lake on sail")()
    return _said(
        f"{at.folder.name}: one more day", run(at.ours("sail", "run", lake=at.out("lake on sail later")))
    )


def _after_small_batches(at: Workspace) -> Run:
    """The day after again, onto a lake that took a day in a few hundred events at a time."""
    split = Sources(at.data.songs, at.folder / "hourly", at.data.day)
    small = Workspace(at.folder / "small", split)
    if not Path(small.out("lake on sail")).exists():
        split.logs.mkdir(parents=True)
        shutil.copytree(at.data.logs, split.logs / "before")
        run(small.ours("sail", "run"))
        for number, lines in enumerate(_parts(sorted(at.data.logs.rglob("*.json"))[-1])):
            (split.logs / f"hour-{number:03}.json").write_bytes(lines)
            run(small.ours("sail", "run"))
    return _one_more_day(small)


def _parts(day: Path) -> Iterator[bytes]:
    """A day's lines a millisecond later, in small files: other events of the same days."""
    lines = day.read_bytes().replace(b'"itemInSession":', b'"itemInSession":1').splitlines(keepends=True)
    size = len(lines) // SMALL_BATCHES + 1
    yield from (b"".join(lines[i : i + size]) for i in range(0, len(lines), size))


def _one_file(folder: Path, at: Workspace) -> Run:
    """All logs of these months as one file: 4.3 GB for ten."""
    logs = folder / "one-file" / "log_data"
    whole = Workspace(folder / "one-file", Sources(at.data.songs, logs, at.data.day))
    shutil.rmtree(whole.folder, ignore_errors=True)
    logs.mkdir(parents=True)
    with (logs / "all.json").open("wb") as joined:
        for file in sorted(at.data.logs.rglob("*.json")):
            joined.write(file.read_bytes().removesuffix(b"\n") + b"\n")
    return _said("one large file", run(whole.ours("sail", "run")))


def _said(what: str, found: Run) -> Run:
    print(
        f"{what:28} {found.seconds:8.2f} s  cpu {found.cpu:8.2f} s  peak {found.peak / 1e9:.2f} GB",
        flush=True,
    )
    return found
