"""Find the work of a run: the files at the sources, less those in the ledger.

A file is known if its digest is that of its newest known content. An older content that comes back is a new
delivery, because its records must win over those that replaced them. The signature (size and times) only
saves reads: an unchanged signature means unchanged content; after a change the digest decides.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runtime.errors import SourceError
from runtime.ledger.facts import Delivery, Facts, delivery_row
from runtime.process.profiling import step
from runtime.s3.config import is_s3
from runtime.settings.load import SOURCES, Settings
from runtime.sources.filesystem import PACKED, SUFFIXES, FileSystem, archive_and_member
from runtime.sources.filesystems import FileSystems
from runtime.sources.inspection import MARK_BYTES, Inspected, inspect
from runtime.sources.listing import BadFile, Listed, ProgressCallback, list_source
from runtime.sources.local_disk import seconds_to_settle
from runtime.sources.open_file import ContentReader, Unreadable
from runtime.sources.slicing import Slice, cut

# Threads that read files, by whether they are on S3: there they mostly wait, on disk they mostly compute.
READERS = {False: 4, True: 32}
ODD_SHOWN = 20
NO_MARKS: Mapping[str, str] = {}
SHARE_FILES, SHARE_BYTES = 64, 8 * 1024**2  # one thread inspects this much at a time


@dataclass(frozen=True)
class NewFile:
    """A content version to take in, from a byte and a line on. `reason` is the text that `plan` shows."""

    listed: Listed
    inspected: Inspected
    delivery: int
    reason: str
    start: int = 0
    first_line: int = 1


@dataclass(frozen=True)
class Work:
    """The work of a run.

    `bad`: unreadable files that are new to the ledger. `gone`: (source, path) of unreadable files in the
    ledger that no longer exist. `touched`: known contents with a new signature. `numbered`: new deliveries.
    `listed`: number of files. `left_out`: (source, number, example) of files whose names are not read.
    `notes`: remarks about files, which stop no run.
    """

    files: tuple[NewFile, ...] = ()
    bad: tuple[BadFile, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    touched: tuple[Delivery, ...] = ()
    numbered: tuple[Delivery, ...] = ()
    listed: int = 0
    left_out: tuple[tuple[str, int, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Remarks about the sources for the user."""
        return [*(left_out_text(*one) for one in self.left_out), *self.notes]

    @property
    def is_empty(self) -> bool:
        """Whether a run has no file to take in and no row for the ledger."""
        return not self.files and not self.bad and not self.gone

    @property
    def content_bytes(self) -> int:
        """Bytes to take in, uncompressed."""
        return sum(f.inspected.content_bytes - f.start for f in self.files)

    def rows(self) -> list[dict[str, Any]]:
        """The rows that record this plan in the ledger."""
        bad = [
            {
                "kind": "bad",
                "source": b.source,
                "path": b.path,
                "uri": b.uri,
                "signature": b.signature,
                "error": b.error,
            }
            for b in self.bad
        ]
        seen = [{"kind": "seen", "delivery": d.delivery, "signature": d.signature} for d in self.touched]
        gone = [{"kind": "bad", "source": source, "path": path} for source, path in self.gone]
        return [*(delivery_row(d) for d in self.numbered), *seen, *bad, *gone]


@dataclass(frozen=True)
class Piece:
    """The part of a new file that goes into one batch; `rest` is (next byte, next line) or None."""

    file: NewFile
    slices: tuple[Slice, ...]
    rest: tuple[int, int] | None


Batch = tuple[Piece, ...]
Seen = dict[tuple[str, str], Inspected]  # by uri and signature


@step("list sources")
def find_work(
    settings: Settings,
    known: Facts,
    *,
    retry_bad: bool = False,
    again: str | None = None,
    marks: Mapping[str, str] = NO_MARKS,
    seen: Seen | None = None,
    on_progress: ProgressCallback | None = None,
) -> Work:
    """List the sources and subtract the files in the ledger. Raises SourceError for a missing source.

    `again`: every file of this source is a new delivery. `marks`: by source, the mark of its current field
    names. `seen`: a cache; a second call with the same one reads only files that changed in between.
    """
    seen = {} if seen is None else seen
    filesystems = FileSystems.reached(settings.s3)
    listings = {
        source: list_source(source, root, filesystems, on_progress)
        for source in SOURCES
        if (root := getattr(settings, source)) is not None
    }
    files = [f for listing in listings.values() for f in listing.files if f.uri != settings.log_json_paths]
    bad = [file for listing in listings.values() for file in listing.bad]
    listed = {(f.source, f.path) for f in files} | {(b.source, b.path) for b in bad}
    newest = _newest(known)
    unknown = [f for f in files if f.source == again or _must_read(f, newest, known, retry_bad=retry_bad)]
    unseen = [f for f in unknown if (f.uri, f.signature) not in seen]
    _settle(unseen)
    fresh, unreadable = inspect_files(unseen, settings)
    seen.update({(f.uri, f.signature): i for f, i in fresh})
    inspected = [(f, seen[f.uri, f.signature]) for f in unknown if (f.uri, f.signature) in seen]
    numbering = iter(range(known.next_delivery, known.next_delivery + len(unknown)))
    judged = [_judge(f, i, newest.get((f.source, f.path)), known, numbering, again) for f, i in inspected]
    others = [
        _other_names(source, files, newest, known, mark) for source, mark in marks.items() if source != again
    ]
    return Work(
        files=tuple(new for new, _, _ in judged if new),
        bad=tuple(b for b in (*bad, *unreadable) if retry_bad or not _remembered(b, known)),
        gone=tuple(b for b in known.bad if b not in listed and getattr(settings, b[0]) is not None),
        touched=tuple(d for _, d, _ in judged if d),
        numbered=tuple(d for _, _, d in judged if d),
        listed=len(files),
        left_out=tuple((s, of.left_out, of.example) for s, of in listings.items() if of.left_out),
        notes=(*_odd(new for new, _, _ in judged if new), *filter(None, others)),
    )


def _odd(files: Iterable[NewFile]) -> Iterator[str]:
    """Remarks about new files, at most ODD_SHOWN of them."""
    odd = [f"{file.listed.uri}: {file.inspected.note}." for file in files if file.inspected.note]
    yield from odd[:ODD_SHOWN]
    if len(odd) > ODD_SHOWN:
        yield f"… and as much of {len(odd) - ODD_SHOWN:,} more files."


def _settle(files: Iterable[Listed]) -> None:
    """Wait until a later write to files that were just written must change their signature."""
    now = time.time()
    on_disk = [f for f in files if not is_s3(f.uri) and archive_and_member(f.uri) is None]
    if wait := max((seconds_to_settle(f.signature, now) for f in on_disk), default=0.0):
        time.sleep(wait)


def _other_names(
    source: str,
    files: Iterable[Listed],
    newest: Mapping[tuple[str, str], Delivery],
    known: Facts,
    mark: str,
) -> str | None:
    """A remark if known files of a source were taken in with other field names than the current ones."""
    last = [newest[f.source, f.path] for f in files if f.source == source and (f.source, f.path) in newest]
    others = sum(known.renamed.get(d.delivery, mark) != mark for d in last)
    if not others:
        return None
    return (
        f"log_json_paths: of the known files of {source}, {others:,} came in under other names of fields and "
        f"stay so. Take them in again with: python lakehouse.py run --again {source}"
    )


def left_out_text(source: str, files: int, example: str) -> str:
    """The remark about files of a source with names that are not read."""
    names = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
    which = (
        f"1 file is left out: {example}"
        if files == 1
        else f"{files:,} files are left out, {example} among them"
    )
    return f"{source}: {which}. Read are {names}, also with {', '.join(PACKED)} behind."


def cut_batches(files: Iterable[NewFile], batch_bytes: int) -> Iterator[Batch]:
    """The files, in order of delivery, as batches of bounded size. Only files of JSON lines are split."""
    batch: list[Piece] = []
    room = batch_bytes
    for file in sorted(files, key=lambda f: f.delivery):
        rest: tuple[int, int] | None = (file.start, file.first_line)
        while rest is not None:
            whole = file.inspected.content_bytes - rest[0]
            piece = _piece(file, rest, room)
            if batch and whole > room and (room < batch_bytes // 2 or _size(piece) > room):
                yield tuple(batch)
                batch, room = [], batch_bytes
                piece = _piece(file, rest, room)
            batch.append(piece)
            room -= max(1, _size(piece))
            rest = piece.rest
            if rest is not None:
                yield tuple(batch)
                batch, room = [], batch_bytes
    if batch:
        yield tuple(batch)


def _piece(file: NewFile, at: tuple[int, int], room: int) -> Piece:
    slices, rest = cut(file.listed, file.inspected, file.delivery, *at, max(1, room))
    return Piece(file, slices, None if rest is None else (rest.start, rest.first_line))


def _size(piece: Piece) -> int:
    return sum(s.size for s in piece.slices)


def _newest(known: Facts) -> dict[tuple[str, str], Delivery]:
    """The newest delivery of each file, by source and path."""
    return {(d.source, d.path): d for _, d in sorted(known.deliveries.items())}


def _must_read(
    file: Listed,
    newest: Mapping[tuple[str, str], Delivery],
    known: Facts,
    *,
    retry_bad: bool,
) -> bool:
    """Whether the file is new or its signature changed, or the lake lacks a part of it."""
    if not retry_bad and known.bad.get((file.source, file.path), ("",))[0] == file.signature:
        return False
    last = newest.get((file.source, file.path))
    return last is None or last.signature != file.signature or last.delivery not in known.ingested


def _remembered(bad: BadFile, known: Facts) -> bool:
    return known.bad.get((bad.source, bad.path), ("",))[0] == bad.signature


def _sizes(_: object, files: list[Listed], *__: object) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(f.size for f in files)}


@step("inspect files", _sizes)
def inspect_files(
    files: list[Listed], settings: Settings
) -> tuple[list[tuple[Listed, Inspected]], list[BadFile]]:
    """Read files whole, several at a time. Returns the readable files and the unreadable ones."""
    filesystems = FileSystems.reached(settings.s3)

    def read(some: list[Listed]) -> list[Inspected | Unreadable]:
        with ContentReader(filesystems) as content:  # opens an archive once for all its members
            return [_inspected(f, content, settings) for f in some]

    with ThreadPoolExecutor(READERS[any(is_s3(f.uri) for f in files)]) as pool:
        results = [r for group in pool.map(read, _shares(files)) for r in group]
    pairs = list(zip(files, results, strict=True))
    return (
        [(f, r) for f, r in pairs if isinstance(r, Inspected)],
        [
            BadFile(f.source, f.path, f.uri, f.signature, str(r))
            for f, r in pairs
            if isinstance(r, Unreadable)
        ],
    )


def _shares(files: list[Listed]) -> Iterator[list[Listed]]:
    """The files, in order, in groups for threads: a large file alone, small files together."""
    share: list[Listed] = []
    size = 0
    for file in files:
        share.append(file)
        size += file.size
        if len(share) == SHARE_FILES or size >= SHARE_BYTES:
            yield share
            share, size = [], 0
    if share:
        yield share


def _inspected(file: Listed, content: ContentReader, settings: Settings) -> Inspected | Unreadable:
    try:
        inspected = inspect(
            file,
            content,
            max_record_bytes=settings.max_record_bytes,
            max_unpacked_bytes=settings.max_unpacked_bytes,
            mark_bytes=min(MARK_BYTES, settings.bytes_of_batch),
        )
    except Unreadable as error:
        return error
    return Unreadable(inspected.lacking) if inspected.lacking else inspected


def _judge(
    file: Listed,
    inspected: Inspected,
    last: Delivery | None,
    known: Facts,
    numbering: Iterator[int],
    again: str | None,
) -> tuple[NewFile | None, Delivery | None, Delivery | None]:
    """(file to take in, known delivery with a new signature, new delivery) for one file that was read."""
    is_again = last is not None and file.source == again and last.delivery in known.ingested
    if last is None or last.digest != inspected.digest or is_again:
        delivery = Delivery(
            next(numbering), file.source, file.path, file.uri, file.size, file.signature, inspected.digest
        )  # fmt: skip
        reason = "new file" if last is None else "again" if is_again else "content changed"
        return NewFile(file, inspected, delivery.delivery, reason), None, delivery
    touched = replace(last, signature=file.signature) if last.signature != file.signature else None
    if last.delivery in known.ingested:
        return None, touched, None
    start, line = known.partial.get(last.delivery, (0, 1))
    reason = "partly taken in" if start else "listed before, not in the lake"
    return NewFile(file, inspected, last.delivery, reason, start, line), touched, None


@step("look whether files changed")
def changed_since(files: Iterable[Listed], filesystems: FileSystem | None = None) -> list[Listed]:
    """The files whose signature changed since they were listed, or that are gone or unreadable."""
    containers: dict[tuple[str, str], list[Listed]] = {}
    for file in files:
        container = (archive_and_member(file.uri) or (file.uri,))[0]
        containers.setdefault((file.source, container), []).append(file)
    far = any(is_s3(container) for _, container in containers)
    with ThreadPoolExecutor(READERS[True]) if far else nullcontext() as pool:
        each = pool.map if pool else map
        signatures = each(partial(_signatures, filesystems), containers)
        return [
            member
            for members, now in zip(containers.values(), signatures, strict=True)
            for member in members
            if now.get(member.uri) != member.signature
        ]


def _signatures(filesystems: FileSystem | None, place: tuple[str, str]) -> dict[str, str]:
    source, container = place
    try:
        return {f.uri: f.signature for f in list_source(source, container, filesystems).files}
    except SourceError:
        return {}
