"""Under spark-submit the JVM runs before our code starts, and spark-submit sets master and resources.
Its settings are kept; Delta Lake, and S3 for a lake on S3, are added."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runtime.engine import jars, s3a, spark_session
from runtime.engine.jars import EXTENSIONS
from runtime.errors import EngineError

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

# A required class, and the module that provides its jars.
DELTA = (EXTENSIONS["spark.sql.extensions"], jars)
S3 = (s3a.FILE_SYSTEM, s3a)
# On one machine Spark generates the secret, so that other users cannot connect to the ports of the driver.
AUTHENTICATED = {"spark.authenticate": "true"}


def submitted_session(
    required: Mapping[str, str], defaults: Mapping[str, str], *, with_s3: bool
) -> SparkSession:
    """A session on the running JVM; --conf of spark-submit overrides `defaults`. Raises EngineError."""
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # joins the JVM, whose settings are unknown before
    conf = SparkConf()
    is_local = (conf.get("spark.master") or "").startswith("local")
    for key, value in {**defaults, **(AUTHENTICATED if is_local else {})}.items():
        conf.setIfMissing(key, value)
    for key, value in required.items():
        conf.set(key, value)
    _extend(conf)
    for name, source in (DELTA, S3) if with_s3 else (DELTA,):
        _add(SparkContext._jvm, conf, name, source)
    conf.setIfMissing("spark.app.name", "sparkify-lakehouse")
    return spark_session.session(conf)


def _extend(conf: SparkConf) -> None:
    """Add Delta's extension to those already set; set the catalog, of which a session has one."""
    for key, value in EXTENSIONS.items():
        others = [c for c in (conf.get(key) or "").split(",") if c and c != value]
        conf.set(key, value if key.endswith("catalog") else ",".join([*others, value]))


def _add(jvm: Any, conf: SparkConf, name: str, source: ModuleType) -> None:
    """Load the class into the running driver, and set its jars for the executors."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]

    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass(name)
        return  # --jars or --packages brought it, to the executors as well
    except Py4JError:
        added = source.cached() or source.resolve()
    try:
        for jar in added:
            loader.addURL(jvm.java.net.URL(jar.as_uri()))
    except Py4JError as error:
        raise EngineError(
            f"engine spark: {name} cannot be added to a driver that is running. Give its jars to "
            f'spark-submit: --jars "$(python -m {source.__name__})"'
        ) from error
    listed = [jar for jar in (conf.get("spark.jars") or "").split(",") if jar]
    conf.set("spark.jars", ",".join([*listed, *(jar.as_uri() for jar in added)]))
