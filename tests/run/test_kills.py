"""Kill -9 anywhere: readers see the last published state, and the next run puts everything right."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from tests.support.deliveries import play
from tests.support.scenes import SCENES, OnStage, Stage, any_boundary, batch_of, published

pytestmark = pytest.mark.long

KILLED = -9


def assert_readers_see_what_was_published(stage: Stage, lake: Path) -> None:
    """Nobody ran since the kill: what is read is the undisturbed lake as of the same batch."""
    opened = stage.open(lake)
    batch = batch_of(opened)
    expected = published(stage.open(stage.undisturbed), batch) if batch else {}
    assert published(opened) == expected


def assert_the_next_run_makes_it_whole(stage: Stage, lake: Path) -> None:
    assert stage.run(lake) == 0
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
    assert stage.open(lake).plan()["unpublished"] == []


@pytest.mark.parametrize(
    ("scene", "kills"),
    [
        pytest.param(
            "first run", ["after Store.create#4", "after BatchContext.append#7"], marks=pytest.mark.essential
        ),
        (
            "corrections",
            [
                "after BatchContext.append#2",
                "after DeltaTable.restore#1",
                "after BatchContext.merge#2",
                "after TableVersions.check#1",
            ],
        ),
        ("full refresh", ["after Store.create#5", "before Owner.release#1"]),
    ],
)
def test_a_run_killed_at_a_step_boundary_is_rolled_back_and_done_again(
    on_stage: OnStage, scene: str, kills: list[str]
) -> None:
    stage = on_stage(scene)
    lake = stage.lake("killed at boundaries")
    for where in kills:
        assert stage.disturb(lake, where).code == KILLED, where
        assert_readers_see_what_was_published(stage, lake)
    assert_the_next_run_makes_it_whole(stage, lake)


@pytest.mark.parametrize(
    "where", ["after BatchContext.merge#1", pytest.param("before Owner.release#1", marks=pytest.mark.slow)]
)
def test_files_that_changed_or_went_away_before_the_next_run_are_taken_as_they_are_then(
    engine_name: str, tmp_path: Path, where: str
) -> None:
    stage = Stage(SCENES["corrections"], engine_name, tmp_path)
    lake = stage.lake("killed")
    assert stage.disturb(lake, where).code == KILLED
    was_published = batch_of(stage.open(lake)) == batch_of(stage.open(stage.undisturbed))
    other = stage.undisturbed if was_published else stage.lake("other")
    (stage.sources.log_data / "3.json").unlink()
    stage.sources.logs("4.json", [play("2018-11-02 11:00:00", itemInSession=1, userId="11")])
    assert (stage.run(lake), stage.run(other)) == (0, 0)
    assert published(stage.open(lake)) == published(stage.open(other))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", SCENES)
def test_runs_killed_at_random_are_rolled_back_and_done_again(on_stage: OnStage, scene: str) -> None:
    kill_at_random(on_stage(scene), kills=16)


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.spark_only
@pytest.mark.long_on_spark
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", ["first run", "corrections", "full refresh"])
def test_runs_on_spark_killed_at_random_are_rolled_back_and_done_again(on_stage: OnStage, scene: str) -> None:
    kill_at_random(on_stage(scene), kills=4)


def kill_at_random(stage: Stage, kills: int) -> None:
    """Kills in a row, also of the runs that roll back; at boundaries and at any instant in turn."""
    chance = random.Random(stage.scene.name)
    killed = lakes = 0
    while killed < kills:
        lakes += 1
        lake = stage.lake(f"killed at random {lakes}")
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.5:
                ended = stage.disturb(lake, any_boundary(chance, stage))
            else:
                ended = stage.start(lake).kill_after(chance.uniform(0, stage.seconds))
            killed += ended.code == KILLED
            assert_readers_see_what_was_published(stage, lake)
            if batch_of(stage.open(lake)) == batch_of(stage.open(stage.undisturbed)):
                break
        assert_the_next_run_makes_it_whole(stage, lake)
    logging.info("%s: %d kills of %d lakes", stage.scene.name, killed, lakes)
