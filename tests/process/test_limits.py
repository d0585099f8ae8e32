"""Where the system allows too little, a command says so instead of waiting for ever, and holds no lease."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play

# A user's threads are not bounded for root. This one has no others.
pytestmark = [pytest.mark.process, pytest.mark.long]

OTHER_USER = ["setpriv", "--reuid=64123", "--regid=64123", "--clear-groups"] if os.geteuid() == 0 else []
LIMITED = """
import resource, runpy, sys
sys.path.insert(0, ".")
limit, value = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(limit, (value, value))
sys.argv[1:] = sys.argv[3:]
runpy.run_path("lakehouse.py", run_name="__main__")
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder in which every user may write; pytest's own are closed to others."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.parametrize(
    ("limit", "value", "named"),
    [
        *(("RLIMIT_NOFILE", n, f"may open {n} files") for n in (20, 26, 28, 30, 50)),
        ("RLIMIT_AS", 2 * 1024**3, "ulimit -v 2097152"),
        ("RLIMIT_AS", 3 * 1024**3, "ulimit -v 3145728"),
        ("RLIMIT_AS", 4 * 1024**3, "ulimit -v 4194304"),
        ("RLIMIT_NPROC", 8, "ulimit -u 8"),
        ("RLIMIT_NPROC", 25, "ulimit -u 25"),
    ],
)
def test_a_limit_that_is_too_low_ends_a_run_which_names_it(
    limit: str, value: int, named: str, public: Path
) -> None:
    deliveries = Deliveries(public / "sources")
    deliveries.logs("1.json", [play()])
    sources = [f"--song-data={deliveries.song_data}", f"--log-data={deliveries.log_data}"]
    words = ["run", f"--lake={public / 'lake'}", *sources]
    before = OTHER_USER if limit == "RLIMIT_NPROC" else []
    ended = subprocess.run(
        [*before, sys.executable, "-B", "-c", LIMITED, limit, str(value), *words],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert (ended.returncode, named in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr
    status = subprocess.run(
        [sys.executable, "lakehouse.py", "unlock", words[1]], cwd=ROOT, capture_output=True, text=True
    )
    assert "The lease is free" in status.stdout or "holds no lake" in status.stderr
