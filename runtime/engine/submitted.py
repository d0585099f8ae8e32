"""Under spark-submit the JVM is up before our code begins, and spark-submit decides about master and
resources. What it was told stands; Delta Lake is added to what it set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.engine.jars import EXTENSIONS, cached, resolve
from runtime.errors import EngineError

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession


def submitted_session(required: Mapping[str, str], defaults: Mapping[str, str]) -> SparkSession:
    """A session on the waiting JVM; `defaults` give way to spark-submit's own --conf. Raises EngineError."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    SparkContext._ensure_initialized()  # joins the JVM: before, there is no telling what it was given
    conf = SparkConf()
    for key, value in defaults.items():
        conf.setIfMissing(key, value)
    for key, value in required.items():
        conf.set(key, value)
    _add_delta(SparkContext._jvm, conf)
    conf.setIfMissing("spark.app.name", "sparkify-lakehouse")
    return SparkSession.builder.config(conf=conf).getOrCreate()


def _add_delta(jvm: Any, conf: SparkConf) -> None:
    """Delta's classes for the driver, which runs already, and its jars for the executors."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]

    for key, value in EXTENSIONS.items():
        others = [c for c in (conf.get(key) or "").split(",") if c and c != value]
        conf.set(key, value if key.endswith("catalog") else ",".join([*others, value]))
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass(EXTENSIONS["spark.sql.extensions"])
        return  # --jars or --packages brought it, to the executors as well
    except Py4JError:
        jars = cached() or resolve()
    try:
        for jar in jars:
            loader.addURL(jvm.java.net.URL(jar.as_uri()))
    except Py4JError as error:
        raise EngineError(
            "engine spark: Delta Lake cannot be added to a driver that is running. Give its jars to "
            'spark-submit: --jars "$(python -m runtime.engine.jars)"'
        ) from error
    given = [jar for jar in (conf.get("spark.jars") or "").split(",") if jar]
    conf.set("spark.jars", ",".join([*given, *(jar.as_uri() for jar in jars)]))
