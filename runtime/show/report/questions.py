"""The listening questions of the report, as SQL over gold, and the chart of each answer."""

from __future__ import annotations

from dataclasses import dataclass

TOP = 10


@dataclass(frozen=True)
class Question:
    """A question and its chart. `x`, `y` and `colour` name columns of the answer.

    `kind`: bar, ranked (horizontal bars) or line. Titles include the units. `labels`: a Vega expression for
    the labels of `x`, or the time format of a line.
    """

    title: str
    sql: str
    kind: str
    x: str
    y: str
    x_title: str
    y_title: str
    colour: str | None = None
    order: tuple[str, ...] = ()
    labels: str = "datum.label"


def _top(title: str, name: str, source: str, key: str | None = None) -> Question:
    """The most played by `key`, or by name without one. Names that are not unique get their key."""
    is_shared = "false" if key is None else "count(*) over (partition by name) > 1"
    sql = f"""
        select if({is_shared}, name || ' (' || key || ')', name) as name, plays from (
            select {key or name} as key, any_value({name}) as name, count(*) as plays
            from {source} where {name} is not null group by 1
        ) order by plays desc, name limit {TOP}
    """
    return Question(title, sql, "ranked", "plays", "name", "plays", "")


def _over_time(title: str, unit: str, is_fit: str, labels: str) -> Question:
    """Plays by level for every day or month from the first to the last, zeros included."""
    sql = f"""
        with counted as (
            select date_trunc('{unit}', start_time)::date as {unit}, level, count(*) as plays
            from gold.songplays where (select {is_fit} from gold.songplays) group by all
        ), every as (
            select unnest(generate_series(min({unit}), max({unit}), interval 1 {unit}))::date as {unit}
            from counted
        )
        select {unit}, level, coalesce(plays, 0) as plays
        from every cross join (select distinct level from counted) left join counted using ({unit}, level)
        order by all
    """
    return Question(title, sql, "line", unit, "plays", f"{unit} (UTC)", "plays", "level", labels=labels)


# A chart has no room for many days: then the line is by month.
HAS_ROOM = "max(start_time) - min(start_time) < interval 366 days"


BROWSER = """case
    when user_agent ilike '%firefox%' then 'Firefox' when user_agent ilike '%edg%' then 'Edge'
    when user_agent ilike '%chrome%' then 'Chrome' when user_agent ilike '%trident%' then 'Internet Explorer'
    when user_agent ilike '%msie%' then 'Internet Explorer' when user_agent ilike '%safari%' then 'Safari'
    when user_agent is null then 'not told' else coalesce(
        nullif(regexp_extract(user_agent, '([A-Za-z]+)/[0-9.]+$', 1), ''),
        nullif(regexp_extract(user_agent, 'compatible; ([A-Za-z]+)', 1), ''),
        nullif(regexp_extract(user_agent, '[(]([A-Za-z]+)', 1), ''), 'other') end"""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

QUESTIONS = (
    _over_time("Plays a day, by level", "day", HAS_ROOM, "%-d %b %Y"),
    _over_time("Plays a month, by level", "month", f"not ({HAS_ROOM})", "%b %Y"),
    Question(
        "Plays by hour of the day",
        "select hour, count(*) as plays from gold.songplays join gold.time using (start_time) "
        "group by hour order by hour",
        "bar", "hour", "plays", "hour (UTC)", "plays", labels="datum.value % 3 ? '' : datum.label",
    ),
    Question(
        "Plays by weekday",
        "select weekday, count(*) as plays from gold.songplays join gold.time using (start_time) "
        "group by weekday order by min(isodow(start_time))",
        "bar", "weekday", "plays", "weekday (UTC)", "plays", order=WEEKDAYS,
        labels="slice(datum.label, 0, 3)",
    ),
    _top("Songs played most", "title", "gold.songplays join gold.songs using (song_id)", "song_id"),
    _top("Artists played most", "name", "gold.songplays join gold.artists using (artist_id)", "artist_id"),
    # The id first: after a right-to-left name it would be displayed on the wrong side.
    _top(
        "Users who play most",
        "concat_ws(' ', user_id, first_name, last_name)",
        "gold.songplays join gold.users using (user_id)",
    ),
    _top("Places played from most", "location", "gold.songplays"),
    Question(
        "Plays in a session",
        "select case when n = 1 then '1' when n <= 5 then '2–5' when n <= 20 then '6–20' "
        "when n <= 50 then '21–50' else '> 50' end as plays, count(*) as sessions "
        "from (select session_id, user_id, count(*) as n from gold.songplays group by all) "
        "group by 1 order by min(n)",
        "bar", "plays", "sessions", "plays in the session", "sessions",
        order=("1", "2–5", "6–20", "21–50", "> 50"),
    ),
    _top("Browsers", BROWSER, "gold.songplays"),
)  # fmt: skip
