"""Every way a file may change between two runs or during one, with the outcome: the list that docs/input.md
shows and `test_changing_files` tests."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.deliveries import play

Record = Mapping[str, Any]

FIRST: Record = {"itemInSession": 0}
SECOND: Record = {"itemInSession": 1}
CORRECTED: Record = {"itemInSession": 0, "location": "Paris"}
ELSEWHERE: Record = {"itemInSession": 0, "location": "Madrid"}
LONG_AGO = 1_000_000_000


@dataclass(frozen=True)
class Folder:
    """The folder of one case; its number is the session and user of its records."""

    path: Path
    number: int

    def record(self, fields: Record) -> dict[str, Any]:
        return play(**{"sessionId": self.number, "userId": str(self.number), **fields})

    def text(self, *records: Record) -> str:
        return "\n".join(json.dumps(self.record(fields)) for fields in records)

    def write(self, name: str, *records: Record) -> Path:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.text(*records), encoding="utf-8")
        return path


@dataclass(frozen=True)
class Change:
    """`first` makes the files of a run, `then` changes them before the next run.

    `older`, if any, makes files for an earlier run; `during`, if any, changes files in the middle of a run,
    which reports them, and one more run takes them in. `news`: the reasons that `plan` gives for files after
    `then`. `rows`: the records in the lake at the end, each delivered once; `rejected`: the number in
    quarantine.
    """

    what: str
    outcome: str
    first: Callable[[Folder], object]
    then: Callable[[Folder], object]
    rows: Sequence[Record]
    news: Mapping[str, str] = field(default_factory=dict)
    rejected: int = 0
    older: Callable[[Folder], object] | None = None
    during: Callable[[Folder], object] | None = None


def one_file(folder: Folder) -> None:
    folder.write("a.json", FIRST)


def two_records(folder: Folder) -> None:
    folder.write("a.json", FIRST, SECOND)


def corrected_elsewhere(folder: Folder) -> None:
    folder.write("a.json", FIRST)
    folder.write("b.json", CORRECTED)


def with_a_line_still_being_written(folder: Folder) -> None:
    (folder.path / "a.json").write_text(folder.text(FIRST, SECOND)[:-30], encoding="utf-8")


def rename(folder: Folder) -> None:
    (folder.path / "a.json").rename(folder.path / "c.json")


def delete(folder: Folder) -> None:
    (folder.path / "a.json").unlink()


def empty(folder: Folder) -> None:
    (folder.path / "a.json").write_bytes(b"")


def touch(folder: Folder) -> None:
    os.utime(folder.path / "a.json", (LONG_AGO, LONG_AGO))


def write_again(folder: Folder) -> None:
    path = folder.path / "a.json"
    path.write_bytes(path.read_bytes())


def pack(folder: Folder) -> None:
    path = folder.path / "a.json"
    (folder.path / "a.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def copy_with_its_old_time(folder: Folder) -> None:
    """Like `cp -p` and `rsync -t`: other content of the same size with the same modification time."""
    path = folder.path / "a.json"
    times = path.stat().st_mtime_ns
    original = folder.path.parent / f"{folder.number}.kept"
    original.write_text(folder.text(ELSEWHERE), encoding="utf-8")
    os.utime(original, ns=(times, times))
    assert original.stat().st_size == path.stat().st_size
    shutil.copy2(original, path)


def deliver_an_old_file(folder: Folder) -> None:
    os.utime(folder.write("old.json", SECOND), (LONG_AGO, LONG_AGO))


def cut_short(folder: Folder) -> None:
    path = folder.path / "b.json"
    os.truncate(path, len(folder.text(SECOND)) // 2)


CHANGED, NEW = "content changed", "new file"

CHANGES = (
    Change(
        "grown",
        "a new delivery, whole; the lines it repeats keep their place in the order",
        one_file,
        two_records,
        (FIRST, SECOND),
        {"a.json": CHANGED},
    ),
    Change(
        "grown, after another file corrected its first line",
        "the correction stays: a repeated line is no newer than it was",
        corrected_elsewhere,
        two_records,
        (CORRECTED, SECOND),
        {"a.json": CHANGED},
    ),
    Change(
        "grown, its last line only half written before",
        "the whole line is taken in; the half one stays in quarantine",
        with_a_line_still_being_written,
        two_records,
        (FIRST, SECOND),
        {"a.json": CHANGED},
        rejected=1,
    ),
    Change(
        "rewritten with another value",
        "a correction: the new value wins",
        one_file,
        lambda folder: folder.write("a.json", CORRECTED),
        (CORRECTED,),
        {"a.json": CHANGED},
    ),
    Change(
        "rewritten with the same bytes",
        "nothing new",
        one_file,
        write_again,
        (FIRST,),
    ),
    Change(
        "shortened",
        "a new delivery; records it no longer holds stay",
        two_records,
        one_file,
        (FIRST, SECOND),
        {"a.json": CHANGED},
    ),
    Change(
        "emptied",
        "a new delivery of nothing; all records stay",
        one_file,
        empty,
        (FIRST,),
        {"a.json": CHANGED},
    ),
    Change(
        "replaced by an older content of its own",
        "a new delivery: what it changes back wins",
        lambda folder: folder.write("a.json", CORRECTED),
        one_file,
        (FIRST,),
        {"a.json": CHANGED},
        older=one_file,
    ),
    Change("deleted", "its records stay", two_records, delete, (FIRST, SECOND)),
    Change(
        "renamed, or moved to another folder",
        "a new file; its records are duplicates",
        one_file,
        rename,
        (FIRST,),
        {"c.json": NEW},
    ),
    Change(
        "renamed, after another file corrected its records",
        "a new file, delivered last: what it says wins",
        corrected_elsewhere,
        rename,
        (FIRST,),
        {"c.json": NEW},
    ),
    Change(
        "compressed in its place",
        "a new file; its records are duplicates",
        two_records,
        pack,
        (FIRST, SECOND),
        {"a.json.gz": NEW},
    ),
    Change(
        "of the same name in two folders",
        "two files",
        one_file,
        lambda folder: folder.write("more/a.json", SECOND),
        (FIRST, SECOND),
        {"more/a.json": NEW},
    ),
    Change("only touched", "nothing new", one_file, touch, (FIRST,)),
    Change(
        "replaced by another of the same size and modification time (`cp -p`, `rsync -t`)",
        "a correction: its change time tells, and its content",
        one_file,
        copy_with_its_old_time,
        (ELSEWHERE,),
        {"a.json": CHANGED},
    ),
    Change(
        "new, with a modification time in the past",
        "a new file",
        one_file,
        deliver_an_old_file,
        (FIRST, SECOND),
        {"old.json": NEW},
    ),
    Change(
        "truncated while the run reads it",
        "reported; nothing of it is taken in, and the next run lists it anew",
        one_file,
        lambda folder: folder.write("b.json", SECOND),
        (FIRST,),
        {"b.json": NEW},
        rejected=1,
        during=cut_short,
    ),
    Change(
        "grown while the run reads it",
        "the same, and the next run takes it in whole",
        one_file,
        lambda folder: folder.write("b.json", SECOND),
        (FIRST, SECOND, {"itemInSession": 2}),
        {"b.json": NEW},
        during=lambda folder: folder.write("b.json", SECOND, {"itemInSession": 2}),
    ),
    Change(
        "deleted while the run reads it",
        "the same, and there is nothing to take in",
        one_file,
        lambda folder: folder.write("b.json", SECOND),
        (FIRST,),
        {"b.json": NEW},
        during=lambda folder: (folder.path / "b.json").unlink(),
    ),
)
