"""Every kind of dirt in a record or a text file, with the outcome: the list that docs/input.md shows and
`test_dirty_input` delivers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
Reasons = tuple[str, ...]

NO_OBJECT: Reasons = ("record_is_json_object",)
EMPTY_EVENT: Reasons = (
    "session_id_is_integer", "item_in_session_is_integer", "event_at_is_valid", "page_is_present",
    "level_is_known",
)  # fmt: skip
EMPTY_SONG: Reasons = (
    "song_id_is_present", "title_is_present", "artist_id_is_present", "artist_name_is_present",
    "duration_is_positive",
)  # fmt: skip
# The optional fields of a log record, and their columns.
OPTIONAL = {
    "firstName": "first_name", "lastName": "last_name", "gender": "gender", "registration": "registration",
    "location": "location", "auth": "auth", "method": "method", "status": "status", "userAgent": "user_agent",
}  # fmt: skip
AS_IT_WAS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Dirt:
    """`content` makes a file's bytes from a clean record with a unique key.

    `kept`: for each accepted record, the columns that differ from the row of the clean record.
    `rejected`: the reasons of each rejected record, in order of lines.
    """

    what: str
    content: Callable[[Record], bytes]
    kept: tuple[Mapping[str, Any], ...] = ()
    rejected: tuple[Reasons, ...] = ()
    note: str = ""


def line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def having(**changes: Any) -> Callable[[Record], bytes]:
    """The record with other values."""
    return lambda clean: line({**clean, **changes})


def lacking(*fields: str) -> Callable[[Record], bytes]:
    """The record without some fields."""
    return lambda clean: line({k: v for k, v in clean.items() if k not in fields})


def before(text: bytes) -> Callable[[Record], bytes]:
    """A line of text, then the clean record."""
    return lambda clean: text + b"\n" + line(clean)


def after(text: bytes) -> Callable[[Record], bytes]:
    """The clean record, then a line of text."""
    return lambda clean: line(clean) + b"\n" + text


def spelled(field: str, value: bytes) -> Callable[[Record], bytes]:
    """The record with a value given as JSON text."""
    return lambda clean: line({**clean, field: "@"}).replace(b'"@"', value)


def second(clean: Record) -> Record:
    """The record with another key."""
    return {**clean, "itemInSession": 1}


LOGS = (
    Dirt(
        "a line cut off, as by a full disk",
        lambda clean: line(clean) + b"\n" + line(second(clean))[:-40],
        (AS_IT_WAS,),
        (NO_OBJECT,),
    ),
    Dirt(
        "the first line cut off",
        lambda clean: line(second(clean))[40:] + b"\n" + line(clean),
        (AS_IT_WAS,),
        (NO_OBJECT,),
    ),
    Dirt(
        "bytes that are no UTF-8",
        spelled("song", b'"Caf\xe9"'),
        rejected=(NO_OBJECT,),
        note="they are in `raw` as `\\xe9`",
    ),
    Dirt("UTF-8 with a byte order mark", lambda clean: b"\xef\xbb\xbf" + line(clean), (AS_IT_WAS,)),
    Dirt(
        "UTF-16 with a byte order mark",
        lambda clean: line({**clean, "song": "日本"}).decode().encode("utf-16"),
        ({"song": "日本"},),
    ),
    Dirt("a NUL byte in a text", spelled("song", b'"No\0tes"'), rejected=(NO_OBJECT,)),
    Dirt("a NUL character, escaped as JSON asks", having(song="No\0tes"), (AS_IT_WAS,), note="without it"),
    Dirt(
        "a block of NUL bytes at the end, as after a crash",
        lambda clean: line(clean) + b"\n" + bytes(512),
        (AS_IT_WAS,),
        (NO_OBJECT,),
    ),
    Dirt(
        "lines that end in CR LF",
        lambda clean: line(clean) + b"\r\n" + line(second(clean)) + b"\r\n",
        (AS_IT_WAS, {"item_in_session": 1}),
    ),
    Dirt(
        "a line of 50 MB",
        lambda clean: line({**clean, "debug": "x" * 50_000_000}),
        (AS_IT_WAS,),
        note="over `max_record_bytes` its file is reported",
    ),
    Dirt(
        "100 levels of nesting",
        spelled("debug", b'{"a":[' * 50 + b"]}" * 50),
        (AS_IT_WAS,),
    ),
    Dirt(
        "a field twice",
        lambda clean: b'{"level":"paid","userId":"8",' + line(clean)[1:],
        (AS_IT_WAS,),
        note="the last counts",
    ),
    Dirt(
        "unknown fields", having(device="phone", nested={"a": [1]}), (AS_IT_WAS,), note="they stay in bronze"
    ),
    Dirt(
        "fields that may be missing are missing",
        lacking(*OPTIONAL),
        (dict.fromkeys(OPTIONAL.values()),),
        note="NULL",
    ),
    Dirt(
        "fields the rules name are missing",
        lacking("sessionId", "itemInSession", "ts", "page", "level"),
        rejected=(EMPTY_EVENT,),
    ),
    Dirt("an object without a field", lambda _: b"{}", rejected=(EMPTY_EVENT,)),
    Dirt("a play without a user", lacking("userId"), rejected=(("play_has_user",),)),
    Dirt("`userId` as a number", having(userId=7), (AS_IT_WAS,)),
    Dirt("`ts` as a text", lambda clean: line({**clean, "ts": str(clean["ts"])}), (AS_IT_WAS,)),
    Dirt(
        "`sessionId` as `5.0`",
        lambda clean: line({**clean, "sessionId": float(clean["sessionId"])}),
        (AS_IT_WAS,),
    ),
    Dirt("`sessionId` as `5.5`", having(sessionId=5.5), rejected=(("session_id_is_integer",),)),
    Dirt(
        "`sessionId` over the range of int",
        having(sessionId=1541105830796),
        rejected=(("session_id_is_in_range",),),
        note="see [Wider ids](adding-a-table.md#wider-ids)",
    ),
    Dirt("`userId` over any range", having(userId="1e30", page="Home"), rejected=(("user_id_is_in_range",),)),
    Dirt("`ts` in seconds", having(ts=1541106106), rejected=(("event_at_is_valid",),)),
    Dirt("`ts` negative", having(ts=-1541106106796), rejected=(("event_at_is_valid",),)),
    Dirt("`ts` in the year 10000", having(ts=253402300800000), rejected=(("event_at_is_valid",),)),
    Dirt("`ts` as a date", having(ts="2018-11-01 21:01:46"), rejected=(("event_at_is_valid",),)),
    Dirt("`NaN` or `Infinity`", spelled("length", b"NaN"), rejected=(NO_OBJECT,)),
    Dirt('`"NaN"` or `"Infinity"` as a text', having(length="Infinity"), rejected=(("length_is_positive",),)),
    Dirt(
        "`userId` that is no number",
        having(userId="abc"),
        rejected=(("user_id_is_integer", "play_has_user"),),
    ),
    Dirt(
        "`userId` over the range of int",
        having(userId="10152368852405295"),
        rejected=(("user_id_is_in_range", "play_has_user"),),
    ),
    Dirt(
        "`userId` that is no number, on a page other than `NextSong`",
        having(userId="abc", page="Home"),
        rejected=(("user_id_is_integer",),),
    ),
    Dirt("an unknown level", having(level="gold"), rejected=(("level_is_known",),)),
    Dirt("an unknown page", having(page="Podcast"), ({"page": "Podcast"},), note="a new feature of the app"),
    Dirt("a negative `length`", having(length=-1.5), rejected=(("length_is_positive",),)),
    Dirt("JSON that is no object", before(b'"text"'), (AS_IT_WAS,), (NO_OBJECT,)),
    Dirt("an array among the lines", after(b"[1, 2]"), (AS_IT_WAS,), (NO_OBJECT,)),
    Dirt(
        "an array that holds other things, too",
        lambda clean: b"[1, null, " + line(clean) + b"]",
        (AS_IT_WAS,),
        (NO_OBJECT, NO_OBJECT),
    ),
    Dirt("a text that is no JSON", before(b"INFO rotated"), (AS_IT_WAS,), (NO_OBJECT,)),
    Dirt("a line in brackets", before(b"[2018-11-01T00:00:00Z] INFO rotated"), (AS_IT_WAS,), (NO_OBJECT,)),
    Dirt(
        "several objects on a line",
        lambda clean: line(clean) + line(second(clean)) + b"\n",
        (AS_IT_WAS, {"item_in_session": 1}),
    ),
    Dirt(
        "lines that end in commas",
        lambda clean: line(clean) + b",\n" + line(second(clean)) + b"]\n",
        (AS_IT_WAS, {"item_in_session": 1}),
    ),
    Dirt(
        "an element of an array cut off",
        lambda clean: b"[\n" + line(second(clean))[:-40] + b",\n" + line(clean) + b"\n]",
        (AS_IT_WAS,),
        (NO_OBJECT,),
    ),
    Dirt(
        "a line with more text behind its object",
        lambda clean: line(clean) + b"\n" + line(second(clean)) + b"}",
        (AS_IT_WAS,),
        (NO_OBJECT,),
    ),
    Dirt(
        "several rules broken",
        having(ts="never", level="gold", status="OK"),
        rejected=(("event_at_is_valid", "level_is_known", "status_is_integer"),),
        note="with every reason",
    ),
    Dirt("an empty file", lambda _: b"", note="it holds no record, and is taken in"),
    Dirt("blank lines", lambda clean: b"\n \t\n" + line(clean) + b"\n\n", (AS_IT_WAS,)),
)

SONGS = (
    Dirt("a song without id", having(song_id=""), rejected=(("song_id_is_present",),)),
    Dirt("a song without title", having(title=" "), rejected=(("title_is_present",),)),
    Dirt("a song without artist's id", having(artist_id=None), rejected=(("artist_id_is_present",),)),
    Dirt("a song without artist's name", lacking("artist_name"), rejected=(("artist_name_is_present",),)),
    Dirt("a song that is an object without a field", lambda _: b"{}", rejected=(EMPTY_SONG,)),
    Dirt("a negative duration", having(duration=-200.5), rejected=(("duration_is_positive",),)),
    Dirt("a duration of 0", having(duration=0), rejected=(("duration_is_positive",),)),
    Dirt("the latitude 91", having(artist_latitude=91), rejected=(("latitude_is_valid",),)),
    Dirt("the longitude -181", having(artist_longitude=-181), rejected=(("longitude_is_valid",),)),
    Dirt("a latitude that is no number", having(artist_latitude="north"), rejected=(("latitude_is_valid",),)),
    Dirt("the year 0", having(year=0), ({"year": None},), note="NULL"),
    Dirt("a year that is no number", having(year="MCMXCIX"), rejected=(("year_is_valid",),)),
    Dirt("a year over the range of int", having(year=99999999999), rejected=(("year_is_valid",),)),
)  # fmt: skip
