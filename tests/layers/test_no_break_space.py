"""A no-break space inside a name stays as delivered, and agrees with a blank where plays find their songs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.read.trace import Found
from tests.support.comparing import rows
from tests.support.deliveries import Deliveries, play, song

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]
NAMES = "select title from gold.songs order by song_id"


def test_a_play_finds_its_song_whichever_space_a_name_has_and_whichever_comes_first(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.songs("1.json", [song(title="LIBERTÉ\u00a0!", artist_name="ANDRÉ\u00a0")])
    plays = [
        play(sessionId=1, song="LIBERTÉ !", artist="ANDRÉ"),
        play(sessionId=2, song="LIBERTÉ\u00a0!", artist="ANDRÉ"),
        play(sessionId=3, song="Spaß haben", artist="Tab\tHere"),
    ]
    deliveries.logs("1.json", plays)
    lake.run()
    deliveries.songs("2.json", [song(song_id="SONG2", title="Spaß\u00a0haben", artist_name="Tab\u00a0Here")])
    lake.run()
    assert rows(lake, NAMES) == [{"title": "LIBERTÉ\u00a0!"}, {"title": "Spaß\u00a0haben"}]
    linked = rows(lake, "select songplay_id as id, song_id as s from gold.songplays order by session_id")
    assert [play["s"] for play in linked] == ["SONG1", "SONG1", "SONG2"]
    for row in linked:
        below = lake.trace("songplays", row["id"]).row.sources
        joined = [s.key for s in below if isinstance(s, Found) and s.relation == "joined to"]
        assert joined == [row["s"]]
    assert lake.verify().ok
