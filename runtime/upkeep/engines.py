"""Engines as `doctor` checks them: whether they can start here, and which one reads the tables."""

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
    """Java, the jars, and the configured engine."""
    java = java_version()
    fit = java in JAVA
    text = f"{java}" if java else "none"
    needed = settings.engine == "spark"
    yield Finding(
        "Java",
        text if fit else f"{text}; the engine spark needs 17 or 21, sail none",
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
    """Spark where Java is installed, because Spark is the reference; otherwise the configured engine."""
    if java_version() in JAVA:
        try:
            return engine.started(settings.model_copy(update={"engine": "spark"}))
        except EngineError:  # this process already runs another engine
            pass
    return engine.started(settings)
