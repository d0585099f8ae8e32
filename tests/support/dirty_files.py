"""Every kind of bad file or odd folder, with the outcome: the list that docs/input.md shows and
`test_dirty_files` delivers."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_UNPACKED = 3_000_000


@dataclass(frozen=True)
class BadFile:
    """`put` makes the file in an empty folder, from the bytes of a clean record.

    `failed` gives each path below the folder that is reported, with its error; `is_kept` is whether
    the clean record is taken in all the same, from another file or member.
    """

    what: str
    put: Callable[[Path, bytes], object]
    failed: Mapping[str, str] = field(default_factory=dict)
    is_kept: bool = False
    note: str = ""


def folder_named_like_a_file(folder: Path, clean: bytes) -> None:
    (folder / "x.json").mkdir()
    (folder / "x.json" / "day.json").write_bytes(clean)


def closed_file(folder: Path, clean: bytes) -> None:
    (folder / "a.json").write_bytes(clean)
    (folder / "a.json").chmod(0)


def closed_folder(folder: Path, clean: bytes) -> None:
    (folder / "closed").mkdir()
    (folder / "closed" / "a.json").write_bytes(clean)
    (folder / "closed").chmod(0)


def link_to_nothing(folder: Path, _: bytes) -> None:
    (folder / "a.json").symlink_to("gone.json")


def link_to_itself(folder: Path, _: bytes) -> None:
    (folder / "a.json").symlink_to("a.json")


def link_to_the_folder_above(folder: Path, clean: bytes) -> None:
    (folder / "day.json").write_bytes(clean)
    (folder / "again").symlink_to(folder)


def pipe(folder: Path, _: bytes) -> None:
    os.mkfifo(folder / "a.json")


def name_in_another_encoding(folder: Path, clean: bytes) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.json")).write_bytes(clean)


def cut_gzip(folder: Path, clean: bytes) -> None:
    (folder / "a.json.gz").write_bytes(gzip.compress(clean)[:-10])


def no_gzip(folder: Path, clean: bytes) -> None:
    (folder / "a.json.gz").write_bytes(clean)


def gzip_named_json(folder: Path, clean: bytes) -> None:
    (folder / "a.json").write_bytes(gzip.compress(clean))


def gzip_and_more(folder: Path, clean: bytes) -> None:
    (folder / "a.json.gz").write_bytes(gzip.compress(clean) + b"rubbish")


def text_file(text: bytes) -> Callable[[Path, bytes], object]:
    return lambda folder, _: (folder / "a.json").write_bytes(text)


def another_archive(folder: Path, clean: bytes) -> None:
    with zipfile.ZipFile(folder / "a.json", "w") as archive:
        archive.writestr("day.json", clean)


def other_name(folder: Path, clean: bytes) -> None:
    (folder / "2018-11-08-events").write_bytes(clean)


def gzip_bomb(folder: Path, _: bytes) -> None:
    (folder / "a.json.gz").write_bytes(gzip.compress(b" \n" * MAX_UNPACKED))


def zip_bomb(folder: Path, _: bytes) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", b" \n" * MAX_UNPACKED)


def zip_out_of_itself(folder: Path, clean: bytes) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../up.json", clean)
        archive.writestr("/etc/root.json", clean)
        archive.writestr("day.json", clean)


def cut_zip(folder: Path, clean: bytes) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("day.json", clean)
    (folder / "a.zip").write_bytes((folder / "a.zip").read_bytes()[:-10])


def zip_in_a_zip(folder: Path, clean: bytes) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("inner.zip", b"")
        archive.writestr("day.json", clean)


BOMB = f"it unpacks to more than {MAX_UNPACKED} bytes (max_unpacked_bytes)"
OUTSIDE = "the member's name points outside its archive"

FILES = (
    BadFile("an empty folder", lambda folder, _: None, note="nothing to read"),
    BadFile(
        "a folder named `x.json`", folder_named_like_a_file, is_kept=True, note="a folder like any other"
    ),
    BadFile("a file without the right to read it", closed_file, {"a.json": "permission denied"}),
    BadFile(
        "a folder without the right to read it",
        closed_folder,
        {"closed/": "the folder cannot be listed: Permission denied"},
    ),
    BadFile(
        "a broken symbolic link",
        link_to_nothing,
        {"a.json": "it is a broken symbolic link: No such file or directory"},
    ),
    BadFile(
        "a symbolic link to itself",
        link_to_itself,
        {"a.json": "it is a broken symbolic link: Too many levels of symbolic links"},
    ),
    BadFile(
        "a symbolic link to a folder above it",
        link_to_the_folder_above,
        is_kept=True,
        note="each folder is read once",
    ),
    BadFile("a named pipe, a socket or a device", pipe, {"a.json": "it is not a regular file"}),
    BadFile(
        "a name that is no UTF-8",
        name_in_another_encoding,
        {"caf\\xe9.json": "its name is not valid UTF-8; rename it"},
    ),
    BadFile(
        "a truncated gzip file",
        cut_gzip,
        {"a.json.gz": "its compressed data is cut or corrupt: Compressed file ended before the "
         "end-of-stream marker was reached"},
    ),
    BadFile("a file named `.json.gz` that is not compressed", no_gzip, is_kept=True, note="the text it is"),
    BadFile("a compressed file named `.json`", gzip_named_json, is_kept=True, note="its name does not count"),
    BadFile("bytes behind the end of a gzip file", gzip_and_more, is_kept=True, note="a warning names it"),
    BadFile(
        "a pointer of Git LFS",
        text_file(b"version https://git-lfs.github.com/spec/v1\noid sha256:4c10\nsize 329\n"),
        {"a.json": "it is a pointer of Git LFS; fetch the file itself with: git lfs pull"},
    ),
    BadFile(
        "a page of HTML",
        text_file(b"<html>\n<body>503</body>\n</html>"),
        {"a.json": "it is an HTML or XML page, not JSON"},
    ),
    BadFile(
        "UTF-16 without a byte order mark",
        lambda folder, clean: (folder / "a.json").write_bytes(clean.decode().encode("utf-16-le")),
        {"a.json": "it is UTF-16 or UTF-32 without a byte order mark; convert it to UTF-8"},
    ),
    BadFile(
        "an archive of another name",
        another_archive,
        {"a.json": "it is a zip archive; name it *.zip"},
    ),
    BadFile(
        "text without any JSON object",
        text_file(b"INFO started\nINFO ended\n"),
        {"a.json": "it holds no JSON object"},
    ),
    BadFile("a file of another name", other_name, note="left out, and counted"),
    BadFile("a gzip bomb", gzip_bomb, {"a.json.gz": BOMB}),
    BadFile("a zip bomb", zip_bomb, {"a.zip!x.json": BOMB}),
    BadFile(
        "a zip archive with names that lead out of it",
        zip_out_of_itself,
        {"a.zip!../../up.json": OUTSIDE, "a.zip!/etc/root.json": OUTSIDE},
        is_kept=True,
    ),
    BadFile(
        "a truncated zip archive",
        cut_zip,
        {"a.zip": "the zip archive cannot be read: File is not a zip file"},
    ),
    BadFile(
        "a zip archive inside a zip archive",
        zip_in_a_zip,
        {"a.zip!inner.zip": "an archive inside an archive is not read; unpack the outer one"},
        is_kept=True,
    ),
)  # fmt: skip
