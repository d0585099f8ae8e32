"""Spark's client for S3: hadoop-aws with the few parts of Amazon's SDK that it needs.

Amazon's bundle of all its services is 686 MB; without it the jars are 14 MB.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from runtime.engine.jars import cache_folder, fetch, unfetched
from runtime.s3.config import CONNECT_SECONDS, REQUEST_SECONDS, Access
from runtime.s3.credentials import refuse_sign_in

SDK = "2.35.4"  # what hadoop-aws 3.5.0 was built with
PARTS = ("s3-transfer-manager", "sts", "apache-client")
EXCLUDED = (
    "software.amazon.awssdk:bundle",
    "software.amazon.awssdk:netty-nio-client",  # for asynchronous clients, which hadoop-aws does not use
    # Spark's distribution includes these, in newer versions.
    "org.apache.hadoop:hadoop-common",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.httpcomponents:*",
    "org.slf4j:*",
    "commons-codec:*",
    "commons-logging:*",
)
RESOLVE = """
import sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
for key, value in zip(("spark.jars.ivy", "spark.jars.packages", "spark.jars.excludes"), sys.argv[1:]):
    builder = builder.config(key, value)
builder.getOrCreate().stop()
"""
FILE_SYSTEM = "org.apache.hadoop.fs.s3a.S3AFileSystem"
CHAIN = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
# Each try of Hadoop is SDK_TRIES tries of the SDK. A MERGE requests its folder and all missing folders above
# it, so a request to a dead server must fail within seconds.
SDK_TRIES, MORE_TRIES, PAUSE = "4", "3", "250ms"


def hadoop_version() -> str:
    """The version of Hadoop that Spark ships; hadoop-aws must have the same."""
    from pyspark.find_spark_home import _find_spark_home

    # Not next to this module: under spark-submit that is in a zip.
    (jar,) = Path(_find_spark_home(), "jars").glob("hadoop-client-api-*.jar")
    return jar.stem.rpartition("-")[2]


def coordinates() -> list[str]:
    """The Maven coordinates, as for `spark-submit --packages`."""
    parts = [f"software.amazon.awssdk:{name}:{SDK}" for name in PARTS]
    return [f"org.apache.hadoop:hadoop-aws:{hadoop_version()}", *parts]


def cached() -> list[Path]:
    """The jars in the cache; empty before they are fetched."""
    return sorted(_folder().glob("*.jar"))


def resolve() -> list[Path]:
    """Fetch the jars from Maven Central into the cache. Raises EngineError."""
    arguments = [",".join(coordinates()), ",".join(EXCLUDED)]
    output = fetch("S3 jars for Spark (once, about 14 MB)", RESOLVE, arguments, _keep)
    return cached() or unfetched("S3 jars", _folder(), output)


def settings(access: Access, chosen: Mapping[str, str]) -> dict[str, str]:
    """Hadoop settings for this access, without those that the Spark settings in `chosen` set.

    Raises StorageError where credentials come from a sign-in.
    """
    refuse_sign_in()
    options = {
        # Our URIs start with s3://, as in Amazon's tools; Hadoop by default knows only s3a://.
        "fs.s3.impl": FILE_SYSTEM,
        "fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "fs.s3a.aws.credentials.provider": CHAIN,
        "fs.s3a.endpoint.region": access.region,
        "fs.s3a.attempts.maximum": SDK_TRIES,
        "fs.s3a.retry.limit": MORE_TRIES,
        "fs.s3a.retry.interval": PAUSE,
        "fs.s3a.retry.throttle.limit": "8",
        "fs.s3a.retry.throttle.interval": PAUSE,
        "fs.s3a.connection.establish.timeout": f"{CONNECT_SECONDS}s",
        "fs.s3a.connection.timeout": f"{REQUEST_SECONDS}s",
        "fs.s3a.connection.request.timeout": f"{REQUEST_SECONDS}s",
    }
    if access.endpoint is not None:
        options["fs.s3a.endpoint"] = access.endpoint
        options["fs.s3a.path.style.access"] = "true"
        options["fs.s3a.connection.ssl.enabled"] = str(not access.allows_http).lower()
    return {key: value for key, value in options.items() if f"spark.hadoop.{key}" not in chosen}


def _folder() -> Path:
    return cache_folder().parent / f"hadoop-aws-{hadoop_version()}-sdk-{SDK}"


def _keep(jars: list[Path]) -> None:
    """Copy the jars to a new folder and rename it: a parallel start never sees half."""
    if not jars:
        return
    part = _folder().with_name(f"{_folder().name}.{os.getpid()}")
    part.mkdir(parents=True)
    for jar in jars:
        shutil.copy(jar, part)
    try:
        part.rename(_folder())
    except OSError:  # another process was faster
        shutil.rmtree(part)


if __name__ == "__main__":  # for spark-submit --jars
    sys.stdout.write(",".join(str(jar) for jar in cached() or resolve()) + "\n")
