"""lakehouse.py, started by a Python without our packages, continues in the environment of `make setup`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.checkout import ROOT, check_out

pytestmark = pytest.mark.process

REPLACED = '#!/bin/sh\necho "environment: $*"\nexit 7\n'


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without packages."""
    venv.create(folder := tmp_path_factory.mktemp("bare") / "venv", with_pip=False)
    return folder / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, whose environment says when it is used."""
    folder = check_out(tmp_path / "project")
    shutil.copy2(ROOT / "pyproject.toml", folder)
    set_up(folder, REPLACED)
    return folder


def set_up(project: Path, script: str) -> None:
    """Put a script where the Python of the environment is."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(script)
    python.chmod(0o755)


def started(project: Path, python: str | Path, *words: str, path: Path | None = None) -> tuple[int, str]:
    """The exit code and the output of a command; modules are looked for in the folder `path` first."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(project), "PYTHONPATH": str(path or "")}
    done = subprocess.run(
        [python, *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("flags", [[], ["-I"], ["-S"]], ids=["plain", "isolated", "without site"])
def test_a_python_without_packages_is_replaced_and_the_exit_code_kept(
    project: Path, bare: Path, flags: list[str]
) -> None:
    words = "query", "select 'a  b'", "--batch", "1"
    expected = "environment: lakehouse.py query select 'a  b' --batch 1\n"
    assert started(project, bare, *flags, "lakehouse.py", *words) == (7, expected)


def test_the_environment_of_make_setup_answers_in_its_place(project: Path, bare: Path) -> None:
    shutil.rmtree(project / ".venv")
    (project / ".venv").symlink_to(sys.prefix)
    code, printed = started(project, bare, "lakehouse.py", "--help")
    assert code == 0
    assert printed.startswith("Usage: ")


def test_a_package_of_a_version_that_we_do_not_allow_counts_as_missing(project: Path, tmp_path: Path) -> None:
    (old := tmp_path / "old" / "click-8.4.0.dist-info").mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: click\nVersion: 8.4.0\n")
    assert started(project, sys.executable, "lakehouse.py", "--help", path=old.parent)[0] == 7


def test_a_python_with_all_packages_is_kept(project: Path) -> None:
    code, printed = started(project, sys.executable, "lakehouse.py", "--help")
    assert code == 0
    assert printed.startswith("Usage: ")


def test_an_environment_that_lacks_packages_too_is_tried_once(project: Path, bare: Path) -> None:
    set_up(project, f'#!/bin/sh\nexec "{bare}" "$@"\n')
    assert started(project, bare, "lakehouse.py", "status") == (2, "run: make setup\n")


def test_without_an_environment_the_message_says_how_to_make_it(project: Path, bare: Path) -> None:
    shutil.rmtree(project / ".venv")
    assert started(project, bare, "lakehouse.py", "status") == (2, "run: make setup\n")


def test_a_click_too_old_without_an_environment_is_no_traceback(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".venv")
    (old := tmp_path / "old" / "click-8.4.0.dist-info").mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: click\nVersion: 8.4.0\n")
    (old.parent / "click").mkdir()
    (old.parent / "click" / "__init__.py").write_text("Context = object\n")
    done = started(project, sys.executable, "lakehouse.py", "status", path=old.parent)
    assert done == (2, "run: make setup\n")
