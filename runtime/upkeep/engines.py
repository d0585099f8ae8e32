"""What `doctor` asks of the engines: whether they can start here, and one to read every table with."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from runtime import engine
from runtime.engine import Engine, class_archive
from runtime.engine.jars import cached
from runtime.engine.java import INSTALL, JAVA, java_version
from runtime.errors import EngineError
from runtime.upkeep.findings import Finding

if TYPE_CHECKING:
    from runtime.settings.load import Settings


def findings(settings: Settings) -> Iterator[Finding]:
    """Java, the jars, and the engine that the settings name."""
    found = java_version()
    fit = found in JAVA
    said = f"{found}" if found else "none"
    needed = settings.engine == "spark"
    yield Finding(
        "Java",
        said if fit else f"{said}; the engine spark needs 17 or 21, sail none",
        "" if fit or not needed else INSTALL,
    )
    if fit:
        jars = cached()
        yield Finding(
            "Delta's jars", f"{len(jars)} in the cache" if jars else "fetched at Spark's first start"
        )
        archive = class_archive.path()
        made = f"python -m {class_archive.__name__} makes one, and Spark starts sooner (a minute, 200 MB)"
        yield Finding("Java's class archive", archive.name if archive.exists() else f"none; {made}")
    yield Finding("engine", f"{settings.engine} (pysail {version('pysail')}, pyspark {version('pyspark')})")


def reader(settings: Settings) -> Engine:
    """Spark where Java is, since Spark is the reference; otherwise the engine of the settings."""
    if java_version() in JAVA:
        try:
            return engine.started(settings.model_copy(update={"engine": "spark"}))
        except EngineError:  # this process runs the other one already
            pass
    return engine.started(settings)
