"""Java's archive of the classes that Spark and Delta Lake load: a JVM need not unpack and verify them again.

A local session that finds one takes a small batch in some seven seconds sooner. It lies beside the jars, and
`python -m runtime.engine.class_archive` makes it. Java's manual has it as application class-data sharing,
with `-XX:ArchiveClassesAtExit`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from runtime.engine import jars, s3a
from runtime.engine.java import apart, java_says, require_java
from runtime.errors import EngineError

ROOT = Path(__file__).parents[2]
SILENT = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # that one does not fit is no news to a user
# A load and a day after it meet all kinds of work. The JVM writes the archive when it ends: it is waited for.
TRAINING = """
import sys
from pathlib import Path
from pyspark import SparkContext
from lakehouse import Lakehouse
from runtime.engine.spark import jvm
from runtime.sample import write_sample
folder, options = Path(sys.argv[1]), f"{jvm(0)} {sys.argv[2]}"
write_sample(folder, events=600, songs=20, days=3)
day = sorted(folder.rglob("log_data/**/*.json"))[-1]
kept = day.read_bytes()
day.unlink()
lake = Lakehouse.open(
    lake=str(folder / "lake"), song_data=str(folder / "song_data"), log_data=str(folder / "log_data"),
    engine="spark", set=["spark.driver.extraJavaOptions=" + options],
)
lake.run()
day.write_bytes(kept)
lake.run()
java = SparkContext._gateway.proc
SparkContext._active_spark_context.stop()
java.stdin.close()
sys.exit(java.wait())
"""


def options() -> str:
    """What to tell a JVM so that it reads the archive; empty where there is none."""
    set_environment = path()
    return f"-XX:SharedArchiveFile={set_environment} {SILENT}" if set_environment.exists() else ""


def path() -> Path:
    """Where the archive is, or would be: no other build of Java and no other class path can read it."""
    found = [f"{jar} {jar.stat().st_mtime_ns}" for jar in (*jars.cached(), *s3a.cached())]
    known = hashlib.sha256("\n".join([java_says(), *found]).encode()).hexdigest()
    return jars.cache_folder() / f"classes-{known[:16]}.jsa"


def make() -> Path:
    """Make it in a process of its own, in about a minute. Raises EngineError."""
    require_java()
    if not jars.cached():
        jars.resolve()
    set_environment = path()
    part = set_environment.with_suffix(f".{os.getpid()}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAINING, folder, f"{SILENT} -XX:ArchiveClassesAtExit={part}"]
        ours = {**apart(), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        try:
            ended = subprocess.run(command, cwd=folder, env=ours, capture_output=True, text=True)
            if ended.returncode or not part.exists():
                why = next(iter(reversed(ended.stderr.strip().splitlines())), "no output")
                raise EngineError(f"engine spark: Java made no class archive: {why}. Spark works without it.")
            part.rename(set_environment)
        finally:
            part.unlink(missing_ok=True)
    return set_environment


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{make()}\n")
    except EngineError as error:
        sys.exit(str(error))
