"""The jars of Delta Lake for Spark: resolved once through delta-spark, then kept.

delta-spark would bring 33 jars, a second Hadoop among them; Spark ships all but five. Those five are
copied to a cache, and later sessions take them from there without asking any repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from runtime.engine.java import apart
from runtime.errors import EngineError

NEEDED = (
    "delta-spark_*",
    "delta-storage-*",
    "delta-kernel-api-*",
    "delta-kernel-defaults-*",
    "delta-kernel-unitycatalog-*",
)
# Spark's own distribution has these, in newer versions.
SHIPPED = (
    "org.apache.hadoop",
    "org.apache.parquet",
    "org.apache.logging.log4j",
    "org.slf4j",
    "com.fasterxml.jackson.core",
    "com.fasterxml.jackson.datatype",
    "com.github.luben",
    "io.unitycatalog",
    "io.airlift",
    "org.locationtech.jts",
    "org.xerial.snappy",
    "org.roaringbitmap",
)
RESOLVE = """
import sys
from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.jars.ivy", sys.argv[1]).config("spark.jars.excludes", sys.argv[2])
configure_spark_with_delta_pip(builder).getOrCreate().stop()
"""
EXTENSIONS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def delta_settings(master: str, also: Sequence[Path] = ()) -> dict[str, str]:
    """Spark's settings for Delta Lake and other jars. Raises EngineError when Delta's cannot be had."""
    paths = [str(jar) for jar in (*(cached() or resolve()), *also)]
    # Executors elsewhere fetch them from the driver.
    fetched = {} if master.startswith("local") else {"spark.jars": ",".join(paths)}
    return {**EXTENSIONS, **fetched, "spark.driver.extraClassPath": os.pathsep.join(paths)}


def cache_folder() -> Path:
    """Where the jars are kept: the user's cache, or the environment where that cannot be written."""
    name = Path("sparkify-lakehouse", f"delta-{version('delta-spark')}")
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        Path(base, name).mkdir(parents=True, exist_ok=True)
        return Path(base, name)
    except (OSError, RuntimeError):
        Path(sys.prefix, "share", name).mkdir(parents=True, exist_ok=True)
        return Path(sys.prefix, "share", name)


def cached() -> list[Path]:
    """The five jars when all of them are in the cache, otherwise none."""
    found = [sorted(cache_folder().glob(f"{name}.jar")) for name in NEEDED]
    return [jars[0] for jars in found] if all(found) else []


def resolve() -> list[Path]:
    """Fetch the jars from Maven Central by delta-spark's own rules and keep the five we need."""
    excluded = ",".join(f"{group}:*" for group in SHIPPED)
    said = fetch("Delta Lake jars for Spark (once, about 13 MB)", RESOLVE, [excluded], _keep)
    return cached() or unfetched("Delta Lake jars", cache_folder(), said)


def fetch(what: str, script: str, arguments: Sequence[str], keep: Callable[[list[Path]], None]) -> str:
    """Have a Spark session of its own process resolve jars with Ivy, and keep them; gives what it said.

    The script finds Ivy's folder in its first argument; `keep` gets the jars while that folder is there.
    """
    sys.stderr.write(f"fetching the {what} …\n")
    with tempfile.TemporaryDirectory() as ivy:
        command = [sys.executable, "-c", script, ivy, *arguments]
        done = subprocess.run(command, env=apart(), capture_output=True, text=True)
        keep(sorted(Path(ivy, "jars").glob("*.jar")) if done.returncode == 0 else [])
    return done.stderr


def unfetched(what: str, folder: Path, said: str) -> NoReturn:
    """Raises EngineError with the last line that was said."""
    why = next((line for line in reversed(said.splitlines()) if line.strip()), "no output")
    raise EngineError(
        f"engine spark: the {what} could not be fetched into {folder}: {why.strip()} Check the "
        "connection to Maven Central (or set spark.jars.ivySettings for a mirror), or use the default "
        "engine, sail, which needs none."
    )


def _keep(jars: list[Path]) -> None:
    """Copy those needed, each in one step, so that a parallel start never sees half a jar."""
    for jar in jars:
        name = jar.name.removeprefix("io.delta_")
        if any(Path(name).match(f"{needed}.jar") for needed in NEEDED):
            part = cache_folder() / f"{name}.{os.getpid()}"
            shutil.copy(jar, part)
            part.rename(cache_folder() / name)


if __name__ == "__main__":  # for spark-submit's --jars, where the driver cannot take them later
    sys.stdout.write(",".join(str(jar) for jar in cached() or resolve()) + "\n")
