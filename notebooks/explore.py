# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exploring the lake
#
# Songs and listening logs became tables: every play is a row of `gold.songplays`, with users, songs,
# artists and times around it. This notebook reads them.
#
# The lake must hold data: `make demo` in the repository's folder fills one. Reading starts no engine;
# only the PySpark cell does.

# %%
import altair as alt
import pandas as pd

from lakehouse import Lakehouse
from runtime.errors import LakehouseError
from runtime.show.report.questions import BROWSER
from runtime.text.values import visible

# Charts become pictures here: they print, and showing them needs no network.
alt.renderers.enable("png", ppi=144)
pd.options.display.max_colwidth = None

lake = Lakehouse.open()
try:
    now = lake.at()
except LakehouseError as error:
    raise SystemExit(f"{error}\nOr run `make demo` in the repository's folder.") from None
if not now.state.tables["gold.songplays"]["rows"]:
    raise SystemExit(f"{lake.settings.lake} holds no plays yet, so there is nothing to explore.")
at = f"{now.state.published_at:%Y-%m-%d %H:%M} UTC"
print(f"{lake.settings.lake} as of batch {now.batch_id}, published {at}")

# %% [markdown]
# ## What is there
#
# `now` is the whole lake as of its last batch: a run that publishes another in the meantime changes
# nothing here. The grain says what one row of a table stands for.

# %%
pd.DataFrame(
    [
        {"table": name, "rows": sizes["rows"], "grain": lake.tables[name].grain}
        for name, sizes in now.state.tables.items()
    ]
).set_index("table")

# %% [markdown]
# The latest plays. `sql` answers one reading statement as an Arrow table. A play whose song the
# catalogue does not hold has no `song_id`.

# %%
now.sql("""
    select start_time, user_id, first_name, p.level, title
    from gold.songplays p
    join gold.users using (user_id)
    left join gold.songs using (song_id)
    order by start_time desc, songplay_id
    limit 5
""").to_pandas()

# %% [markdown]
# ## Plays per day
#
# A day runs from midnight to midnight UTC.

# %%
per_day = now.sql("""
    select strftime(start_time, '%Y-%m-%d') as day, level, count(*) as plays
    from gold.songplays
    group by all
    order by all
""").to_pandas()

print(f"{per_day['plays'].sum():,} plays on {per_day['day'].nunique():,} days")

# %%
# Blue and orange stay apart for colour-blind eyes, and dark and light in a grey print.
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#BBBBBB"
COUNTS = alt.Axis(format=",d", tickMinStep=1)

chart = alt.Chart(per_day, title="Plays per day, by the listener's level").mark_bar(stroke="white")
chart.encode(
    x=alt.X("day:O", title="Day (UTC)", axis=alt.Axis(labelAngle=0, labelOverlap=True, labelSeparation=16)),
    y=alt.Y("plays:Q", title="Plays (count)", axis=COUNTS),
    color=alt.Color("level:N", title="Level", scale=alt.Scale(domain=["paid", "free"], range=[BLUE, ORANGE])),
    order=alt.Order("level:N", sort="descending"),
).properties(width=640, height=260)

# %% [markdown]
# ## When people listen
#
# Hours and weekdays are UTC, as in `gold.time`.

# %%
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
by_hour = now.sql("""
    select hour, count(*) as plays from gold.songplays join gold.time using (start_time) group by hour
""").to_pandas()
by_weekday = now.sql("""
    select weekday, count(*) as plays from gold.songplays join gold.time using (start_time) group by weekday
""").to_pandas()

hours = (
    alt.Chart(by_hour, title="Plays by hour")
    .mark_bar(color=BLUE)
    .encode(
        x=alt.X("hour:O", title="Hour of the day (UTC)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("plays:Q", title="Plays (count)", axis=COUNTS),
    )
)
weekdays = (
    alt.Chart(by_weekday, title="Plays by weekday")
    .mark_bar(color=BLUE)
    .encode(
        x=alt.X("plays:Q", title="Plays (count)", axis=COUNTS),
        y=alt.Y("weekday:N", title=None, sort=WEEKDAYS),
    )
)
alt.hconcat(hours.properties(width=400, height=220), weekdays.properties(width=160, height=220))

# %% [markdown]
# ## What they play, who plays, from where
#
# Songs and artists count only plays whose song the catalogue holds.

# %%
TOP = """
    select any_value({name}) as name, {key} as key, count(*) as plays from gold.songplays {joined}
    where {name} is not null group by {key} order by plays desc, name, key limit 8
"""
RANKED = {
    "Songs": TOP.format(name="title", key="song_id", joined="join gold.songs using (song_id)"),
    "Artists": TOP.format(name="name", key="artist_id", joined="join gold.artists using (artist_id)"),
    "Users": TOP.format(
        name="concat_ws(' ', user_id, first_name, last_name)",
        key="user_id",
        joined="join gold.users using (user_id)",
    ),
    "Places": TOP.format(name="location", key="location", joined=""),
}


def ranking(title: str, sql: str) -> alt.Chart:
    """The longest bars first, names as far as they fit; two that share a name have their keys behind it."""
    top = now.sql(sql).to_pandas()
    shared = top["name"].duplicated(keep=False)
    # Marks that turn text around are spelled out: a name must not reorder what stands beside it.
    top["name"] = [visible(n) for n in top["name"].where(~shared, top["name"] + " " + top["key"].astype(str))]
    bars = alt.Chart(top, title=f"{title} with most plays").mark_bar(color=BLUE)
    ranked: alt.Chart = bars.encode(
        x=alt.X("plays:Q", title="Plays (count)", axis=COUNTS),
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=150)),
    ).properties(width=170, height=170)
    return ranked


charts = [ranking(title, sql) for title, sql in RANKED.items()]
alt.vconcat(alt.hconcat(*charts[:2]), alt.hconcat(*charts[2:]))

# %% [markdown]
# ## Sessions and browsers
#
# A session's length is the time from its first event to its last, on any page. `BROWSER` is the expression
# that the report reads browsers with.

# %%
lengths = now.sql("""
    select date_diff('minute', min(event_at), max(event_at)) // 15 * 15 as minutes, count(*) as n
    from silver.events where user_id is not null
    group by session_id, user_id
""").to_pandas()
lengths = lengths.groupby("minutes").size().reset_index(name="sessions")
browsers = now.sql(f"""
    select {BROWSER} as browser, count(*) as plays
    from gold.songplays group by browser order by plays desc, browser limit 8
""").to_pandas()

every_hour = alt.Axis(values=list(range(0, int(lengths["minutes"].max()) + 61, 60)))
long = (
    alt.Chart(lengths, title="How long sessions are")
    .mark_bar(color=BLUE)
    .encode(
        x=alt.X("minutes:Q", title="Length (minutes, in steps of 15)", bin="binned", axis=every_hour),
        x2=alt.X2("end:Q"),
        y=alt.Y("sessions:Q", title="Sessions (count)", axis=COUNTS),
    )
)
long = long.transform_calculate(end="datum.minutes + 15")
used = (
    alt.Chart(browsers, title="Browsers")
    .mark_bar(color=BLUE)
    .encode(
        x=alt.X("plays:Q", title="Plays (count)", axis=COUNTS),
        y=alt.Y("browser:N", title=None, sort="-x"),
    )
)
alt.hconcat(long.properties(width=340, height=200), used.properties(width=180, height=200))

# %% [markdown]
# ## Yesterday against today
#
# Delivered once a day, the last batch is today and the one before is yesterday. `lake.at(batch=…)` reads
# either; so does `lake.at(as_of="2018-11-29 18:00")` by time of publishing.

# %%
days = lake.history()[-2:]
rows = pd.DataFrame(
    {f"batch {day['batch_id']}": {name: t["rows"] for name, t in day["tables"].items()} for day in days}
)
rows.assign(difference=rows.iloc[:, -1] - rows.iloc[:, 0])

# %%
PER_LEVEL = "select level, count(*) as plays from gold.songplays group by level order by level"
per_level = pd.concat(
    lake.at(batch=day["batch_id"]).sql(PER_LEVEL).to_pandas().assign(batch=f"batch {day['batch_id']}")
    for day in days
)

bars = alt.Chart(per_level, title="Plays in the lake, per level").encode(
    x=alt.X("level:N", title="Level of the listener", axis=alt.Axis(labelAngle=0)),
    xOffset=alt.XOffset("batch:N", sort=None),
    y=alt.Y("plays:Q", title="Plays (count)", axis=alt.Axis(grid=False, format=",d", tickMinStep=1)),
)
alt.layer(
    bars.mark_bar().encode(
        color=alt.Color("batch:N", title="As of", sort=None, scale=alt.Scale(range=[GREY, BLUE]))
    ),
    bars.mark_text(dy=-7).encode(text=alt.Text("plays:Q", format=",")),
).properties(width=320, height=260)

# %% [markdown]
# ## One user's level over batches
#
# Somebody whose level changed in the last ten batches, or the first user when nobody's did.

# %%
levels = pd.DataFrame(
    {
        f"batch {state['batch_id']}": lake.at(batch=state["batch_id"])
        .table("gold.users")
        .pandas()
        .set_index("user_id")["level"]
        for state in lake.history()[-10:]
    }
).sort_index()
changes = levels[levels.nunique(axis=1) > 1]
(levels if changes.empty else changes).head(1)

# %% [markdown]
# ## One user's upgrade, and the line it came from
#
# `gold.user_levels` says who was on which level when; `trace` leads from a row back to the raw line. This is
# whoever went from free to paid last, or the first user when nobody did.

# %%
switched = now.sql("""
    select user_id, level, valid_from, valid_to, is_current from gold.user_levels
    where user_id = (
        select arg_max(user_id, (level = 'paid' and before = 'free', valid_from, -user_id)) from (
            select *, coalesce(lag(level) over (partition by user_id order by valid_from), '') as before
            from gold.user_levels
        )
    )
    order by valid_from
""").to_pandas()
switched

# %%
print(lake.trace("users", int(switched["user_id"].iloc[0])))

# %% [markdown]
# And the latest play, if possible one whose song the catalogue holds: its event, its song, the files and the
# lines they were delivered in, the records as they came.

# %%
latest = now.sql("""
    select arg_max(songplay_id, (song_id is not null, start_time, songplay_id)) as id from gold.songplays
""").to_pylist()[0]["id"]
print(lake.trace("songplays", latest))

# %% [markdown]
# ## What the last batch changed
#
# `diff` reads only the files that one of the two batches has and the other has not.

# %%
pd.DataFrame(lake.diff(*(day["batch_id"] for day in days)).summary).T if len(days) > 1 else None

# %% [markdown]
# ## The same table in PySpark, Polars and DuckDB
#
# One question, who played most, asked three times. `.spark()` gives a PySpark DataFrame on the engine of the
# settings, by default Sail, and starts it.

# %%
plays = now.table("gold.songplays")
plays.spark().groupBy("user_id").count().orderBy("count", "user_id", ascending=[False, True]).show(5)

# %% [markdown]
# `.polars()` gives a data frame, `.duckdb()` a lazy relation. `.arrow()` and `.pandas()` are there too.

# %%
plays.polars().group_by("user_id").len("count").sort(["count", "user_id"], descending=[True, False]).head(5)

# %%
plays.duckdb().aggregate("user_id, count(*) as count").order("count desc, user_id").limit(5)
