"""What analysts ask first, as SQL over gold, and how the answer is drawn.

These read the star schema; no value of a table is made here.
"""

from __future__ import annotations

from dataclasses import dataclass

TOP = 10


@dataclass(frozen=True)
class Question:
    """`x` and `y` name columns of the answer; `colour` splits it. `kind`: bar, ranked (bars on their side)
    or line. Titles carry the units; `labels` is a Vega expression for those along `x`."""

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


def _top(title: str, name: str, source: str) -> Question:
    sql = (
        f"select {name} as name, count(*) as plays from {source} where {name} is not null "
        f"group by 1 order by 2 desc, 1 limit {TOP}"
    )
    return Question(title, sql, "ranked", "plays", "name", "plays", "")


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
    Question(
        "Plays a day, by plan",
        "select cast(start_time as date) as day, level as plan, count(*) as plays "
        "from gold.songplays group by all order by all",
        "line", "day", "plays", "day (UTC)", "plays", colour="plan",
    ),
    Question(
        "Plays by hour of the day",
        "select hour, count(*) as plays from gold.songplays join gold.time using (start_time) "
        "group by hour order by hour",
        "bar", "hour", "plays", "hour (UTC)", "plays", labels="datum.value % 3 ? '' : datum.label",
    ),
    Question(
        "Plays by weekday",
        "select weekday, count(*) as plays from gold.songplays join gold.time using (start_time) "
        "group by weekday",
        "bar", "weekday", "plays", "weekday (UTC)", "plays", order=WEEKDAYS,
        labels="slice(datum.label, 0, 3)",
    ),
    _top("Songs played most", "title", "gold.songplays join gold.songs using (song_id)"),
    _top("Artists played most", "name", "gold.songplays join gold.artists using (artist_id)"),
    _top(
        "Users who play most, with their id",
        "concat_ws(' ', first_name, last_name, '(' || user_id || ')')",
        "gold.songplays join gold.users using (user_id)",
    ),
    _top("Places played from most", "location", "gold.songplays"),
    Question(
        "Length of sessions",
        "select case when n = 1 then '1' when n <= 5 then '2–5' when n <= 20 then '6–20' "
        "when n <= 50 then '21–50' else 'over 50' end as plays, count(*) as sessions "
        "from (select session_id, user_id, count(*) as n from gold.songplays group by all) group by 1",
        "bar", "plays", "sessions", "plays in the session", "sessions",
        order=("1", "2–5", "6–20", "21–50", "over 50"),
    ),
    _top("Browsers", BROWSER, "gold.songplays"),
)  # fmt: skip
