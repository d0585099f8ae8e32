"""Fields that are delivered under other names than ours, as a JSONPaths file says.

Such a file, `{"jsonpaths": ["$['artist']", …]}`, lists one path for each field we know, in our order.
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
"""By the field as we call it, where the record has it: a name, or names from the outside in."""

_STEP = re.compile(r"""\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\.([A-Za-z_][A-Za-z0-9_]*)""")
_BLANKS = " \t\r\n"
_SPACE = re.compile(f"[{_BLANKS}]*")


def read_renames(place: str, fields: Sequence[str], filesystems: FileSystems) -> Renames:
    """What the JSONPaths file there says of these fields. Raises ConfigError, StorageError."""
    try:
        with ContentReader(filesystems) as content:
            return renames_of(b"".join(content.chunks(place)).decode(), fields)
    except ValueError as error:
        raise ConfigError(f"log_json_paths {place}: {error}") from error
    except Unreadable as error:
        raise ConfigError(f"log_json_paths {place}: {error}. Name a JSONPaths file that is there.") from error


def renames_of(text: str, fields: Sequence[str]) -> Renames:
    """What a JSONPaths file says of these fields, less those that keep their names. Raises ValueError."""
    try:
        paths = json.loads(text)["jsonpaths"]
    except (ValueError, KeyError, TypeError):
        raise ValueError('expected {"jsonpaths": ["$[\'name\']", …]}') from None
    if not isinstance(paths, list) or len(paths) != len(fields):
        got = len(paths) if isinstance(paths, list) else "no list"
        raise ValueError(f"expected {len(fields)} paths, for {', '.join(fields)}; got {got}")
    found = {field: _steps(path) for field, path in zip(fields, paths, strict=True)}
    return {field: steps for field, steps in found.items() if steps != (field,)}


def mark_of(renames: Renames) -> str:
    """What tells these names from others; empty where all fields keep their names."""
    text = json.dumps({field: list(steps) for field, steps in renames.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if renames else ""


def renamed(record: str, renames: Renames) -> str:
    """The record as it is, with our fields behind its own: of two members of one name the last counts.

    A path that leads nowhere is null. What is no JSON object stays untouched, to be rejected as such.
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
        found = list(_STEP.finditer(path, 1))
        if found and "".join(step[0] for step in found) == path[1:]:
            return tuple(re.sub(r"\\(.)", r"\1", next(filter(None, step.groups()))) for step in found)
    raise ValueError(f"expected paths such as $['name'] or $.outer.inner, got {path!r}")


def _text_at(record: str, steps: Sequence[str]) -> str:
    """The value's own text, so that numbers and escapes stay as they were delivered."""
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
    """The members of the valid object that opened before `at`: name, and where the value stands."""
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
    """The value that begins there, and where it ends."""
    # Made anew: one kept in the module could not travel to the workers with it.
    return JSONDecoder(strict=False).raw_decode(record, at)


def _past_space(record: str, at: int) -> int:
    return _SPACE.match(record, at).end()  # type: ignore[union-attr]
