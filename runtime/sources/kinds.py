"""Examines a file's text: whether it holds records, what it is otherwise, and whether lines need a split."""

from __future__ import annotations

import re

from runtime.sources.packing import packing_of
from runtime.sources.splitting import needs_split

TAIL_BYTES = 64
BEGIN_BYTES = 4096
_ZIP = "a zip archive"
_ARCHIVES = {
    b"PK": _ZIP,
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x04\x22\x4d\x18": "compressed by lz4",
    b"\xff\x06\0\0sNaPpY": "compressed by snappy",
    b"PAR1": "a Parquet file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"%PDF": "a PDF file",
}
_TAR_AT, _TAR = 257, b"ustar"
# An object starts a line, or follows a bracket, a comma or another object.
_OBJECT = re.compile(rb"(?:\A|[\n\[,}])[ \t\r]*\{(?!\0)")
_WRAPPED = re.compile(rb'\A\s*\{\s*"([^"\\]{1,99})"\s*:\s*\[\s*\{')


class TextWalk:
    """Examines UTF-8 text chunk by chunk: `feed` each chunk, then `finish`.

    `has_lines`: the form is LINES, whose lines may hold several records. `may_be_rest`: a single line
    without an object may be a truncated record, so it counts as one.
    """

    def __init__(self, *, has_lines: bool, may_be_rest: bool) -> None:
        self.is_split = False
        self.notes = list[str]()
        self._has_lines, self._may_be_rest = has_lines, may_be_rest
        self._begin = b""
        self._is_blank = True
        self._has_newline = False
        self._has_object = False
        self._tail = b""
        self._line: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        if len(self._begin) < BEGIN_BYTES:
            self._begin += chunk[:BEGIN_BYTES]
        self._is_blank = self._is_blank and not chunk.strip()
        self._has_newline = self._has_newline or b"\n" in chunk.rstrip()
        if not self._has_object:
            text = self._tail + chunk
            self._has_object = _OBJECT.search(text) is not None
            self._tail = text[-TAIL_BYTES:]
        if self._has_lines and not self.is_split:
            self._look_for_several(chunk)

    def finish(self) -> None:
        """Examine the last line, after the last chunk."""
        if self._has_lines and not self.is_split:
            self.is_split = needs_split(b"".join(self._line) + b"\n")
        if wrapped := _WRAPPED.match(self._begin):
            name = wrapped[1].decode(errors="backslashreplace")
            self.notes.append(
                f"it is one object whose {name!r} holds the records; deliver that array by itself, "
                f"as by: jq -c '.{name}[]'"
            )

    @property
    def lacking(self) -> str:
        """The reason why the text holds no record; empty when it holds one or is blank."""
        if self._is_blank:
            return ""
        if kind := _kind(self._begin):
            return kind
        is_rest = self._may_be_rest and not self._has_newline and not self._begin.startswith(b"\0")
        return "" if self._has_object or is_rest else "it holds no JSON object"

    def _look_for_several(self, chunk: bytes) -> None:
        end = chunk.rfind(b"\n") + 1
        if end:
            self.is_split = needs_split(b"".join([*self._line, chunk[:end]]))
            self._line = []
        self._line.append(chunk[end:])


def _kind(begin: bytes) -> str:
    """The message for a known format that is not JSON, by the first bytes; empty for other text."""
    text = begin.lstrip()
    archive = next((what for magic, what in _ARCHIVES.items() if begin.startswith(magic)), None)
    if archive or begin[_TAR_AT:].startswith(_TAR):
        how = "; name it *.zip" if archive == _ZIP else ", not JSON"
        return f"it is {archive or 'a tar archive'}{how}"
    if packing_of(begin):
        return "it is compressed twice; unpack it once"
    if text.startswith(b"<"):
        return "it is an HTML or XML page, not JSON"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; fetch the file itself with: git lfs pull"
    if text[:2] in (b"{\0", b"[\0", b"\0{", b"\0["):
        return "it is UTF-16 or UTF-32 without a byte order mark; convert it to UTF-8"
    return ""
