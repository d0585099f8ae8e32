"""Kill -9 anywhere: readers see the last published state, and the next run puts everything right."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenes import SCENES, Stage, any_boundary, batch_of, published

pytestmark = [pytest.mark.engine, pytest.mark.long_on_spark]
KILLED = -9
OnStage = Callable[[str], Stage]


@pytest.fixture(scope="module")
def on_stage(engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> OnStage:
    """A scene by name, set up once."""
    stages = dict[str, Stage]()

    def on_stage(name: str) -> Stage:
        if name not in stages:
            stages[name] = Stage(SCENES[name], engine_name, tmp_path_factory.mktemp("stage"))
        return stages[name]

    return on_stage


def assert_readers_see_what_was_published(stage: Stage, lake: Path) -> None:
    """Nobody ran since the kill: what is read is the undisturbed lake as of the same batch."""
    opened = stage.open(lake)
    batch = batch_of(opened)
    expected = published(stage.open(stage.undisturbed), batch) if batch else {}
    assert published(opened) == expected


def assert_the_next_run_makes_it_whole(stage: Stage, lake: Path) -> None:
    ended = stage.run(lake)
    assert ended.code == 0, ended.err
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
    assert stage.run(lake, "plan", "--check").out.splitlines() == ["Nothing to do."]


@pytest.mark.parametrize(
    ("scene", "kills"),
    [
        ("first run", ["after Store.create#4", "after Workbench.append#7"]),
        (
            "corrections",
            [
                "before Owner.commit#2",
                "after Workbench.append#2",
                "after DeltaTable.restore#1",
                "after Workbench.merge#2",
                "before Owner.commit#4",
                "after Heads.check#1",
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


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", SCENES)
def test_runs_killed_at_random_are_rolled_back_and_done_again(
    on_stage: OnStage, scene: str, engine_name: str
) -> None:
    """Kills in a row, also of the runs that roll back; at boundaries and at any instant in turn."""
    stage, chance = on_stage(scene), random.Random(scene)
    wanted, kills = 24 if engine_name == "sail" else 2, 0
    while kills < wanted:
        lake = stage.lake(f"killed at random {kills}")
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.5:
                ended = stage.disturb(lake, any_boundary(chance, stage))
            else:
                ended = stage.start(lake).kill_after(chance.uniform(0, stage.seconds))
            kills += ended.code == KILLED
            assert_readers_see_what_was_published(stage, lake)
        assert_the_next_run_makes_it_whole(stage, lake)
