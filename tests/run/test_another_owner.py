"""Records of one key and two users: the last one wins, and the loser is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lakehouse import Lakehouse
from runtime.cli import main
from runtime.engine import Engine
from tests.support.comparing import rows
from tests.support.deliveries import Deliveries, play

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
OpenLake = Callable[..., Lakehouse]


def test_a_record_that_loses_to_another_users_is_named_everywhere(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries.logs("a.json", [play(userId="39"), play(userId="41"), play(userId="41", location="Rome")])
    lake = open_lake("lake", deliveries)
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    options = [f"--lake={lake.settings.lake}", f"--engine={engine.name}", *sources]
    assert main(["run", *options]) == 0
    folder = deliveries.log_data
    pair = f"{folder}/a.json line 1 (user_id 39) to {folder}/a.json line 3 (user_id 41)"
    told = f"silver.events: 1 record lost to a record of the same key and another owner: {pair}"
    assert f"warning: {told}\n" in capsys.readouterr().err
    assert rows(lake, "select user_id, location from silver.events") == [{"user_id": 41, "location": "Rome"}]
    assert main(["status", *options]) == 0
    assert told in capsys.readouterr().out
    (event,) = rows(lake, "select event_id from silver.events")
    records = lake.trace("silver.events", event["event_id"]).records
    assert [(r.outcome, r.line, r.reasons) for r in records] == [
        ("winner", 3, ()),
        ("superseded", 1, ("of another user_id",)),
        ("superseded", 2, ()),
    ]
    assert "line 1 (user_id 39)" in lake.report()
    lake.run(full_refresh=True)
    assert lake.lost() == [told]


def test_a_row_that_another_users_record_takes_over_later_is_named_and_a_correction_is_not(
    open_lake: OpenLake, engine: Engine, deliveries: Deliveries
) -> None:
    lake = open_lake("lake", deliveries)
    deliveries.logs("a.json", [play(userId="39"), play(sessionId=2)])
    lake.run()
    deliveries.logs("b.json", [play(userId="41"), play(sessionId=2, location="Rome")])
    lake.run()
    (told,) = lake.lost()
    assert "a.json line 1 (user_id 39) to" in told
    assert "b.json line 1 (user_id 41)" in told
    assert lake.lost(batch=1) == []
