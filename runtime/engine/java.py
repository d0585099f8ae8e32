"""The Java that Spark would start, and whether it can run Spark."""

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
    """The major version of the Java that Spark would start, None where there is none that runs."""
    number = re.search(r'version "(?:1\.)?(\d+)', java_says())
    return int(number[1]) if number else None


def java_says() -> str:
    """What it says of its version; nothing where there is none that runs."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    try:
        return subprocess.run(
            [java or "java", "-version"], capture_output=True, text=True, check=True, timeout=30
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return ""


def apart() -> dict[str, str]:
    """The environment for a process that starts a JVM: under spark-submit it would join the waiting one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_GATEWAY")}


def require_java() -> None:
    """Raises EngineError, naming what to install, unless Java 17 or 21 runs."""
    found = java_version()
    if found not in JAVA:
        what = "Java was not found" if found is None else f"Java {found} does not run Spark 4"
        raise EngineError(f"engine spark: {what}: {INSTALL}.")
