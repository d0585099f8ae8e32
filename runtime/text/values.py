"""Converts values of tables to JSON and to text."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

# Control characters that a terminal may execute, bidi marks that reorder displayed text, and surrogates.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARK = uuid4().hex  # random per process, so no data can contain it
_DECIMAL = re.compile(rf'"{_MARK}([-0-9.]+)"')
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, keep: str = "") -> str:
    """The text with control characters, terminal escapes and bidi marks escaped, except those in `keep`."""
    return _UNSEEN.sub(lambda m: m[0] if m[0] in keep else _spelled(m[0]), text)


def as_json(value: Any) -> Any:
    """A value that `to_json` accepts: instants as ISO 8601, bytes as hex, NaN and infinity as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return value if value.is_finite() else None
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"PT{value.total_seconds():g}S"
        case bytes():
            return value.hex()
        case dict():
            return {str(as_json(k)): as_json(v) for k, v in value.items()}
        case _:
            return _of_several(value)


def as_text(value: Any) -> str | None:
    """A value as text, None for NULL: numbers with all digits, nested values as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return str(value)
    plain = as_json(value)
    return plain if isinstance(plain, str | None) else to_json(plain)


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with readable characters; only those that `visible` escapes are \\u-escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=_marked)
    text = _DECIMAL.sub(lambda m: m[1], text)
    return _UNSEEN.sub(lambda m: m[0] if m[0] == "\n" else f"\\u{ord(m[0]):04x}", text)


def _spelled(character: str) -> str:
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _marked(value: Any) -> str:
    """A decimal as marked text, which `to_json` turns into a number: Python's encoder would need a float."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is no value of JSON")
    return f"{_MARK}{value:f}"


def _instant(at: datetime) -> str:
    """ISO 8601 with milliseconds, or microseconds where needed; Z only when the value has a time zone."""
    utc = at.astimezone(UTC) if at.tzinfo else at
    precision = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + ("Z" if at.tzinfo else "")


def _of_several(value: Any) -> Any:
    if hasattr(value, "nanoseconds"):  # Arrow's interval
        return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:g}S"
    if not isinstance(value, list | tuple):
        return str(value)
    if value and all(isinstance(item, tuple) for item in value):  # Arrow's map: pairs
        return {str(as_json(k)): as_json(v) for k, v in value}
    return [as_json(item) for item in value]
