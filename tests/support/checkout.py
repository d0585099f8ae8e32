"""A copy of the project, in which commands may fill `data/` and tests may change code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("bronze", "silver", "gold", "runtime", "conf", "lakehouse.py")
TIMES = re.compile(r"\d+\.\d+(?= s\b|\s+sail$)|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+Z)?")


def check_out(to: Path) -> Path:
    """Copy the code into a new folder."""
    to.mkdir(parents=True)
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name)
        else:
            shutil.copy2(ROOT / name, to)
    return to


def python(folder: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder with its own settings; stdout and stderr are one text.

    `path` replaces PATH and unsets JAVA_HOME.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}
    if path is not None:
        environment = {**environment, "PATH": path}
        environment.pop("JAVA_HOME", None)
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@cache
def demonstrated(root: Path) -> tuple[Path, str]:
    """A checkout in which the demo ran without Java, and its output.

    The session shares it: copy it before a change.
    """
    folder = check_out(root / "demonstrated")
    (empty := root / "no-programs").mkdir()
    done = python(folder, "-m", "runtime.demo", path=str(empty))
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def lines_without_times(text: str) -> list[str]:
    """The lines of an output, with seconds and times masked and repeated spaces merged."""
    return [" ".join(TIMES.sub("#", line).split()) for line in text.splitlines()]
