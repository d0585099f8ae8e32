"""Java's class archive (application class-data sharing) for Spark and Delta Lake: a JVM starts faster.

With it a local session publishes a small batch about seven seconds sooner. The archive is next to the jars;
`python -m runtime.engine.class_archive` makes it, with `-XX:ArchiveClassesAtExit`.
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
SILENT = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # a mismatch is of no interest to a user
# A first run and a second day use most classes. The JVM writes the archive at its exit, so wait for that.
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
    """The JVM options that read the archive; empty where there is none."""
    archive = path()
    return f"-XX:SharedArchiveFile={archive} {SILENT}" if archive.exists() else ""


def path() -> Path:
    """The path of the archive, which is specific to the build of Java and the class path."""
    versions = [f"{jar} {jar.stat().st_mtime_ns}" for jar in (*jars.cached(), *s3a.cached())]
    digest = hashlib.sha256("\n".join([java_says(), *versions]).encode()).hexdigest()
    return jars.cache_folder() / f"classes-{digest[:16]}.jsa"


def make() -> Path:
    """Make the archive in a separate process, in about a minute. Raises EngineError."""
    require_java()
    if not jars.cached():
        jars.resolve()
    archive = path()
    part = archive.with_suffix(f".{os.getpid()}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAINING, folder, f"{SILENT} -XX:ArchiveClassesAtExit={part}"]
        ours = {**apart(), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        try:
            ended = subprocess.run(command, cwd=folder, env=ours, capture_output=True, text=True)
            if ended.returncode or not part.exists():
                why = next(iter(reversed(ended.stderr.strip().splitlines())), "no output")
                raise EngineError(f"engine spark: Java made no class archive: {why}. Spark works without it.")
            part.rename(archive)
        finally:
            part.unlink(missing_ok=True)
    return archive


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{make()}\n")
    except EngineError as error:
        sys.exit(str(error))
