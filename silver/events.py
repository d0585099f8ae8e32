"""What happened in the app: every page a listener opened, plays among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze import log_data
from bronze.log_data import FIELDS
from runtime.table import Records, Table, Upsert
from silver.cleaning import PROVENANCE, absent, beyond_int, instant, integer, number, parse, text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNQUOTED_AGENT = """btrim(btrim(record.userAgent), '"')"""


def build(records: DataFrame) -> DataFrame:
    """Log records → events, one row each; `record` holds the fields as delivered."""
    typed = parse(records, FIELDS).selectExpr(
        *PROVENANCE,
        "record",
        f"{integer('record.sessionId')} as session_id",
        f"{integer('record.itemInSession')} as item_in_session",
        f"{instant('record.ts')} as event_at",
        f"{integer('record.userId')} as user_id",
        f"{text('record.firstName')} as first_name",
        f"{text('record.lastName')} as last_name",
        f"{text('record.gender')} as gender",
        f"{text('record.level')} as level",
        f"{instant('record.registration')} as registration",
        f"{text('record.location')} as location",
        f"{text('record.auth')} as auth",
        f"{text('record.page')} as page",
        f"{text('record.method')} as method",
        f"{integer('record.status')} as status",
        f"{text('record.song')} as song",
        f"{text('record.artist')} as artist",
        f"{number('record.length')} as length",
        f"{text(UNQUOTED_AGENT)} as user_agent",
    )
    return typed.selectExpr(
        "xxhash64(session_id, item_in_session, event_at) & 9223372036854775807 as event_id",
        "*",
        "cast(event_at as date) as event_date",
    )


TABLE = Table(
    name="silver.events",
    grain="one row per (session_id, item_in_session, event_at)",
    inputs=(Records(log_data.TABLE),),
    build=build,
    write=Upsert(
        key=("event_id",),
        identity=("session_id", "item_in_session", "event_at"),
        fields=("sessionId", "itemInSession", "ts"),
        owner=("user_id", "userId"),
    ),
    partition_by=("event_date",),
    schema="""
        event_id bigint not null comment 'non-negative hash of session_id, item_in_session, event_at',
        session_id int not null comment 'the session it belongs to',
        item_in_session int not null comment 'its place in the session, from 0',
        event_at timestamp not null comment 'when it happened, UTC, to the millisecond',
        user_id int comment 'the user; NULL when logged out',
        first_name string comment 'given name at the time',
        last_name string comment 'family name at the time',
        gender string comment 'F or M, as delivered',
        level string not null comment 'plan at the time: free or paid',
        registration timestamp comment 'when the user registered, UTC',
        location string comment 'metropolitan area of the listener',
        auth string comment 'Logged In, Logged Out, …',
        page string not null comment 'the page opened; NextSong is a play',
        method string comment 'HTTP method of the request',
        status int comment 'HTTP status of the answer',
        song string comment 'title played',
        artist string comment 'name of the artist played',
        length double comment 'duration of the song played, in seconds',
        user_agent string comment 'browser, without the outer quotes',
        event_date date not null comment 'the UTC day of event_at',
        _source_file string not null comment 'file of the winning record',
        _source_line bigint not null comment 'its line in that file',
        _delivery bigint not null comment 'its delivery: precedence is (_delivery, _source_line)',
        _batch_id bigint not null comment 'the batch that last wrote this row'
    """,
    expectations={
        "session_id_is_integer": f"session_id >= 0 or {beyond_int('record.sessionId')}",
        "session_id_is_in_range": f"not {beyond_int('record.sessionId')}",
        "item_in_session_is_integer": "item_in_session >= 0",
        "event_at_is_valid": "event_at is not null",
        "user_id_is_integer": f"{absent('record.userId')} or user_id >= 0 or {beyond_int('record.userId')}",
        "user_id_is_in_range": f"not {beyond_int('record.userId')}",
        "play_has_user": "coalesce(page, '') <> 'NextSong' or user_id is not null",
        "page_is_present": "page is not null",
        "level_is_known": "level in ('free', 'paid')",
        "length_is_positive": f"{absent('record.length')} or length > 0",
        "status_is_integer": f"{absent('record.status')} or status is not null",
        "registration_is_valid": f"{absent('record.registration')} or registration is not null",
    },
)
