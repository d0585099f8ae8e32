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

# Charts become pictures here: they print, and showing them needs no network.
alt.renderers.enable("png", ppi=144)
pd.options.display.max_colwidth = None

lake = Lakehouse.open()
try:
    now = lake.at()
except LakehouseError as error:
    raise SystemExit(f"{error}\nOr run `make demo` in the repository's folder.") from None
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

chart = alt.Chart(per_day, title="Plays per day, by the listener's level").mark_bar(stroke="white")
chart.encode(
    x=alt.X("utcyearmonthdate(day):T", title="Day (UTC)", bandPosition=0, axis=alt.Axis(format="%d %b %Y")),
    y=alt.Y("plays:Q", title="Plays (count)"),
    color=alt.Color("level:N", title="Level", scale=alt.Scale(domain=["paid", "free"], range=[BLUE, ORANGE])),
    order=alt.Order("level:N", sort="descending"),
).properties(width=640, height=260)

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
    y=alt.Y("plays:Q", title="Plays (count)"),
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
# ## The same tables in PySpark
#
# `.spark()` gives a PySpark DataFrame on the engine of the settings, by default Sail, and starts it.
# These are the busiest hours of the day, UTC.

# %%
plays = now.table("gold.songplays").spark()
times = now.table("gold.time").spark()
busiest = plays.join(times, "start_time").groupBy("hour").count().orderBy("count", "hour", ascending=False)
busiest.show(5)

# %% [markdown]
# ## Handing over
#
# To Polars, and to DuckDB as a lazy relation. `.arrow()` and `.pandas()` are there too.

# %%
now.table("gold.users").polars().group_by("level").len().sort("level")

# %%
listeners = now.table("gold.songplays").duckdb().aggregate("user_id, count(*) as plays")
listeners.order("plays desc, user_id").limit(5)
