"""Renames fields by a JSONPaths file, for a source that delivers them under other names.

The file, `{"jsonpaths": ["$['artist']", …]}`, lists one path per field of the declaration, in its order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from json import JSONDecoder
from typing import Any

from runtime.errors import ConfigError
from runtime.sources.filesystems import FileSystems
from runtime.sources.open_file import ContentReader, Unreadable

Renames = Mapping[str, Sequence[str]]
"""The path in a source record by field: one name, or several from the outermost to the innermost."""

_STEP = re.compile(r"""\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\.([A-Za-z_][A-Za-z0-9_]*)""")
_BLANKS = " \t\r\n"
_SPACE = re.compile(f"[{_BLANKS}]*")


def read_renames(place: str, fields: Sequence[str], filesystems: FileSystems) -> Renames:
    """The renames in the JSONPaths file at `place`. Raises ConfigError, StorageError."""
    try:
        with ContentReader(filesystems) as content:
            return renames_of(b"".join(content.chunks(place)).decode(), fields)
    except ValueError as error:
        raise ConfigError(f"log_json_paths {place}: {error}") from error
    except Unreadable as error:
        raise ConfigError(f"log_json_paths {place}: {error}. Name a JSONPaths file that is there.") from error


def renames_of(text: str, fields: Sequence[str]) -> Renames:
    """The renames in a JSONPaths file's text, without fields that keep their names. Raises ValueError."""
    try:
        paths = json.loads(text)["jsonpaths"]
    except (ValueError, KeyError, TypeError):
        raise ValueError('expected {"jsonpaths": ["$[\'name\']", …]}') from None
    if not isinstance(paths, list) or len(paths) != len(fields):
        got = len(paths) if isinstance(paths, list) else "no list"
        raise ValueError(f"expected {len(fields)} paths, for {', '.join(fields)}; got {got}")
    by_field = {field: _steps(path) for field, path in zip(fields, paths, strict=True)}
    return {field: steps for field, steps in by_field.items() if steps != (field,)}


def mark_of(renames: Renames) -> str:
    """A digest of the renames; empty when all fields keep their names."""
    text = json.dumps({field: list(steps) for field, steps in renames.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if renames else ""


def renamed(record: str, renames: Renames) -> str:
    """The record with the declared fields appended: of two members with one name, parsers use the last.

    A path that does not exist becomes null. Text that is not a JSON object is returned unchanged;
    silver rejects it.
    """
    body = record.strip(_BLANKS)
    try:
        delivered, end = _decoded(body)
    except (ValueError, RecursionError):
        return record
    if not isinstance(delivered, dict) or end != len(body):
        return record
    ours = ", ".join(f"{json.dumps(field)}: {_text_at(body, steps)}" for field, steps in renames.items())
    return f"{body[:-1]}{', ' if delivered else ''}{ours}}}"


def _steps(path: object) -> tuple[str, ...]:
    if isinstance(path, str) and path.startswith("$"):
        matches = list(_STEP.finditer(path, 1))
        if matches and "".join(step[0] for step in matches) == path[1:]:
            return tuple(re.sub(r"\\(.)", r"\1", next(filter(None, step.groups()))) for step in matches)
    raise ValueError(f"expected paths such as $['name'] or $.outer.inner, got {path!r}")


def _text_at(record: str, steps: Sequence[str]) -> str:
    """The source text of the value at a path, so that numbers and escapes are not rewritten."""
    begin, end = 0, len(record)
    for step in steps:
        if record[begin] != "{":
            return "null"
        place = dict(_members(record, begin + 1)).get(step)
        if place is None:
            return "null"
        begin, end = place
    return record[begin:end]


def _members(record: str, at: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """(name, (begin, end) of the value) for each member of the valid object that opens before `at`."""
    at = _past_space(record, at)
    while record[at] != "}":
        name, at = _decoded(record, at)
        begin = _past_space(record, _past_space(record, at) + 1)
        _, end = _decoded(record, begin)
        yield name, (begin, end)
        at = _past_space(record, end)
        if record[at] == ",":
            at = _past_space(record, at + 1)


def _decoded(record: str, at: int = 0) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends."""
    # Not a module-level decoder: this module is pickled to the workers, and a decoder cannot be.
    return JSONDecoder(strict=False).raw_decode(record, at)


def _past_space(record: str, at: int) -> int:
    return _SPACE.match(record, at).end()  # type: ignore[union-attr]
