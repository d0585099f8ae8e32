"""The Java that Spark starts, and whether its version can run Spark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from runtime.errors import EngineError

JAVA = (17, 21)
INSTALL = (
    "install Java 17 or 21 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME; "
    "the default engine, sail, needs no Java"
)


def java_version() -> int | None:
    """The major version of the Java that Spark starts, None without a working Java."""
    number = re.search(r'version "(?:1\.)?(\d+)', java_says())
    return int(number[1]) if number else None


def java_says() -> str:
    """The output of `java -version`, empty without a working Java."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    try:
        return subprocess.run(
            [java or "java", "-version"], capture_output=True, text=True, check=True, timeout=30
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return ""


def apart() -> dict[str, str]:
    """Environment variables for a process that starts its own JVM, also under spark-submit."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_GATEWAY")}


def require_java() -> None:
    """Raises EngineError, naming what to install, unless Java 17 or 21 runs."""
    major = java_version()
    if major not in JAVA:
        what = "Java was not found" if major is None else f"Java {major} does not run Spark 4"
        raise EngineError(f"engine spark: {what}: {INSTALL}.")
