"""The jars of Delta Lake for Spark: resolved once through delta-spark, then cached.

delta-spark resolves 33 jars, a second Hadoop among them; Spark ships all but five. Those five are copied
to a cache, from which later sessions load them without network.
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
# Spark's distribution includes these, in newer versions.
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
    """Spark settings for Delta Lake and other jars. Raises EngineError when Delta's cannot be fetched."""
    paths = [str(jar) for jar in (*(cached() or resolve()), *also)]
    # Remote executors fetch them from the driver.
    fetched = {} if master.startswith("local") else {"spark.jars": ",".join(paths)}
    return {**EXTENSIONS, **fetched, "spark.driver.extraClassPath": os.pathsep.join(paths)}


def cache_folder() -> Path:
    """The folder of the jars: in the user's cache, or in the Python environment if that is not writable."""
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
    matches = [sorted(cache_folder().glob(f"{name}.jar")) for name in NEEDED]
    return [jars[0] for jars in matches] if all(matches) else []


def resolve() -> list[Path]:
    """Fetch the jars from Maven Central as delta-spark does, and cache those five. Raises EngineError."""
    excluded = ",".join(f"{group}:*" for group in SHIPPED)
    output = fetch("Delta Lake jars for Spark (once, about 13 MB)", RESOLVE, [excluded], _keep)
    return cached() or unfetched("Delta Lake jars", cache_folder(), output)


def fetch(what: str, script: str, arguments: Sequence[str], keep: Callable[[list[Path]], None]) -> str:
    """Resolve jars with Ivy in a separate Spark process and pass them to `keep`; returns its stderr.

    The first argument of the script is Ivy's folder, which is deleted after `keep` returns.
    """
    sys.stderr.write(f"fetching the {what} …\n")
    with tempfile.TemporaryDirectory() as ivy:
        command = [sys.executable, "-c", script, ivy, *arguments]
        done = subprocess.run(command, env=apart(), capture_output=True, text=True)
        keep(sorted(Path(ivy, "jars").glob("*.jar")) if done.returncode == 0 else [])
    return done.stderr


def unfetched(what: str, folder: Path, said: str) -> NoReturn:
    """Raises EngineError with the last line of the output in `said`."""
    why = next((line for line in reversed(said.splitlines()) if line.strip()), "no output")
    raise EngineError(
        f"engine spark: the {what} could not be fetched into {folder}: {why.strip()} Check the "
        "connection to Maven Central (or set spark.jars.ivySettings for a mirror), or use the default "
        "engine, sail, which needs none."
    )


def _keep(jars: list[Path]) -> None:
    """Copy the needed jars, each atomically: a parallel start never sees half a jar."""
    for jar in jars:
        name = jar.name.removeprefix("io.delta_")
        if any(Path(name).match(f"{needed}.jar") for needed in NEEDED):
            part = cache_folder() / f"{name}.{os.getpid()}"
            shutil.copy(jar, part)
            part.rename(cache_folder() / name)


if __name__ == "__main__":  # for spark-submit --jars, where the driver cannot load them later
    sys.stdout.write(",".join(str(jar) for jar in cached() or resolve()) + "\n")
