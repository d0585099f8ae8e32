"""A disk that fills in mid-run: one clear error, nothing published, and all is well once there is room."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scenes import OnStage, batch_of, published

pytestmark = pytest.mark.process

WHERE = (
    "after Store.clear_scratch#1",
    "before BatchContext.append#1",
    "before BatchContext.merge#1",
    "before Store.flush#1",
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A small disk of its own and how to fill it; where none may be mounted, a limit on every file."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0
    yield folder, "fill" if mounted else "limit"
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    "where", [pytest.param(w, marks=[pytest.mark.slow] * (w != WHERE[-1])) for w in WHERE]
)
def test_a_disk_that_fills_in_mid_run_is_told_and_nothing_is_published(
    on_stage: OnStage, disk: tuple[Path, str], where: str
) -> None:
    stage, (folder, fill) = on_stage("corrections"), disk
    lake = Path(shutil.copytree(stage.folder / "before", folder / "lake"))
    before = batch_of(stage.open(lake))
    ended = stage.disturb(lake, where, fill)
    assert ended.code == 2, ended.err
    assert str(lake) in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ended.err
    assert batch_of(stage.open(lake)) == before
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed), before)
    (lake / "filler").unlink(missing_ok=True)
    assert stage.run(lake) == 0
    assert published(stage.open(lake)) == published(stage.open(stage.undisturbed))
