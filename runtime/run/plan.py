"""What there is to do: the files at the sources, less what the ledger knows.

A file is known by the digest of its newest known content: an older content that comes back is a new
delivery, for its records must win over the ones that replaced them. The signature (size and times) only
spares reading: where it is unchanged the content is taken to be, where it changed the content decides.
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

# Threads that read files: far away they mostly wait, nearby they mostly work.
READERS = {False: 4, True: 32}
ODD_SHOWN = 20
NO_MARKS: Mapping[str, str] = {}
SHARE_FILES, SHARE_BYTES = 64, 8 * 1024**2  # what one thread inspects at a time


@dataclass(frozen=True)
class NewFile:
    """A content version to take in, from a byte and a line on. `reason` says why it is new."""

    listed: Listed
    inspected: Inspected
    delivery: int
    reason: str
    start: int = 0
    first_line: int = 1


@dataclass(frozen=True)
class Work:
    """What a run would do. `bad` are files not yet remembered as unreadable; `gone` are remembered ones
    (source, path) that are there no more; `touched` are known contents under a new signature; `numbered`
    are the deliveries this listing numbers; `left_out` says for a source how many files have names that are
    not read, and the path of one; `notes` are odd about the files, and stop nothing."""

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
        """What a person should know about the sources besides what is taken in."""
        return [*(left_out_text(*one) for one in self.left_out), *self.notes]

    @property
    def is_empty(self) -> bool:
        """Whether a run has nothing to take in and nothing to remember."""
        return not self.files and not self.bad and not self.gone

    @property
    def content_bytes(self) -> int:
        """What there is to take in, unpacked."""
        return sum(f.inspected.content_bytes - f.start for f in self.files)

    def rows(self) -> list[dict[str, Any]]:
        """The ledger rows that remember this plan."""
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
    """The part of a new file that one batch takes; `rest` is (next byte, next line) or None."""

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
    """List the sources and subtract what the ledger knows. Raises SourceError for a missing source.

    Known files of the source `again` are new deliveries. `marks` say for a source under which names of
    fields it is taken in now. Give the same `seen` to two calls, and the second reads only what changed in
    between.
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
    there = {(f.source, f.path) for f in files} | {(b.source, b.path) for b in bad}
    newest = _newest(known)
    unknown = [f for f in files if f.source == again or _must_read(f, newest, known, retry_bad=retry_bad)]
    unseen = [f for f in unknown if (f.uri, f.signature) not in seen]
    _settle(unseen)
    fresh, unreadable = inspect_files(unseen, settings)
    seen.update({(f.uri, f.signature): i for f, i in fresh})
    inspected = [(f, seen[f.uri, f.signature]) for f in unknown if (f.uri, f.signature) in seen]
    numbering = iter(range(known.next_delivery, known.next_delivery + len(unknown)))
    found = [_judge(f, i, newest.get((f.source, f.path)), known, numbering, again) for f, i in inspected]
    others = [
        _other_names(source, files, newest, known, mark) for source, mark in marks.items() if source != again
    ]
    return Work(
        files=tuple(new for new, _, _ in found if new),
        bad=tuple(b for b in (*bad, *unreadable) if retry_bad or not _remembered(b, known)),
        gone=tuple(b for b in known.bad if b not in there and getattr(settings, b[0]) is not None),
        touched=tuple(d for _, d, _ in found if d),
        numbered=tuple(d for _, _, d in found if d),
        listed=len(files),
        left_out=tuple((s, of.left_out, of.example) for s, of in listings.items() if of.left_out),
        notes=(*_odd(new for new, _, _ in found if new), *filter(None, others)),
    )


def _odd(files: Iterable[NewFile]) -> Iterator[str]:
    """What is odd about new files, of the first of them."""
    odd = [f"{file.listed.uri}: {file.inspected.note}." for file in files if file.inspected.note]
    yield from odd[:ODD_SHOWN]
    if len(odd) > ODD_SHOWN:
        yield f"… and as much of {len(odd) - ODD_SHOWN:,} more files."


def _settle(files: Iterable[Listed]) -> None:
    """Wait until what is read of files just written can be told from what is written to them later."""
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
    """What to do where known files of a source were taken in under other names of fields than now."""
    there = [newest[f.source, f.path] for f in files if f.source == source and (f.source, f.path) in newest]
    others = sum(known.renamed.get(d.delivery, mark) != mark for d in there)
    if not others:
        return None
    return (
        f"log_json_paths: of the known files of {source}, {others:,} came in under other names of fields and "
        f"stay so. Take them in again with: python lakehouse.py run --again {source}"
    )


def left_out_text(source: str, files: int, example: str) -> str:
    """How many files of a source have names that are not read."""
    names = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
    which = (
        f"1 file is left out: {example}"
        if files == 1
        else f"{files:,} files are left out, {example} among them"
    )
    return f"{source}: {which}. Read are {names}, also with {', '.join(PACKED)} behind."


def cut_batches(files: Iterable[NewFile], batch_bytes: int) -> Iterator[Batch]:
    """The files, in order of delivery, as batches of bounded size. Only line files are ever cut."""
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
    """By source and path, the delivery of a file that was listed last."""
    return {(d.source, d.path): d for _, d in sorted(known.deliveries.items())}


def _must_read(
    file: Listed,
    newest: Mapping[tuple[str, str], Delivery],
    known: Facts,
    *,
    retry_bad: bool,
) -> bool:
    """Whether the signature alone cannot tell that there is nothing new about the file."""
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
    """Read files whole, several at a time; those that cannot be read are told apart."""
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
    """The files, in order, as shares for threads: a large file alone, small ones by the dozen."""
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
    """(to take in, known but touched, newly numbered) of one file that was read."""
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
    """Those that are no longer what was listed: gone, unreadable, or another content."""
    containers: dict[tuple[str, str], list[Listed]] = {}
    for file in files:
        container = (archive_and_member(file.uri) or (file.uri,))[0]
        containers.setdefault((file.source, container), []).append(file)
    far = any(is_s3(container) for _, container in containers)
    with ThreadPoolExecutor(READERS[True]) if far else nullcontext() as pool:
        each = pool.map if pool else map
        found = each(partial(_signatures, filesystems), containers)
        return [
            member
            for members, now in zip(containers.values(), found, strict=True)
            for member in members
            if now.get(member.uri) != member.signature
        ]


def _signatures(filesystems: FileSystem | None, place: tuple[str, str]) -> dict[str, str]:
    source, container = place
    try:
        return {f.uri: f.signature for f in list_source(source, container, filesystems).files}
    except SourceError:
        return {}
