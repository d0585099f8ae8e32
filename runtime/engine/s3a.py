"""Spark's own client for S3: hadoop-aws with the few parts of Amazon's SDK that it needs.

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
    "software.amazon.awssdk:netty-nio-client",  # for its asynchronous clients, which hadoop-aws leaves alone
    # Spark's own distribution has these, in newer versions.
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
# Each of Hadoop's tries is that many of the SDK's. A MERGE asks for its table's folder and, in vain, for each
# folder above it, so a request to a server that is gone must fail within seconds.
SDK_TRIES, MORE_TRIES, PAUSE = "4", "3", "250ms"


def hadoop_version() -> str:
    """The Hadoop that Spark ships; hadoop-aws must be of the same."""
    from pyspark.find_spark_home import _find_spark_home

    # Not beside the module: under spark-submit that is in a zip.
    (jar,) = Path(_find_spark_home(), "jars").glob("hadoop-client-api-*.jar")
    return jar.stem.rpartition("-")[2]


def coordinates() -> list[str]:
    """What to ask Maven for, also as `spark-submit --packages`."""
    parts = [f"software.amazon.awssdk:{name}:{SDK}" for name in PARTS]
    return [f"org.apache.hadoop:hadoop-aws:{hadoop_version()}", *parts]


def cached() -> list[Path]:
    """The jars, where they have been fetched already; otherwise none."""
    return sorted(_folder().glob("*.jar"))


def resolve() -> list[Path]:
    """Fetch the jars from Maven Central and keep them. Raises EngineError."""
    arguments = [",".join(coordinates()), ",".join(EXCLUDED)]
    said = fetch("S3 jars for Spark (once, about 14 MB)", RESOLVE, arguments, _keep)
    return cached() or unfetched("S3 jars", _folder(), said)


def settings(access: Access, chosen: Mapping[str, str]) -> dict[str, str]:
    """Hadoop's settings for this access, less those among Spark's own that somebody chose.

    Raises StorageError where credentials come from a sign-in.
    """
    refuse_sign_in()
    found = {
        # Our locations say s3://, as Amazon's tools do; Hadoop would know s3a:// alone.
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
        found["fs.s3a.endpoint"] = access.endpoint
        found["fs.s3a.path.style.access"] = "true"
        found["fs.s3a.connection.ssl.enabled"] = str(not access.allows_http).lower()
    return {key: value for key, value in found.items() if f"spark.hadoop.{key}" not in chosen}


def _folder() -> Path:
    return cache_folder().parent / f"hadoop-aws-{hadoop_version()}-sdk-{SDK}"


def _keep(jars: list[Path]) -> None:
    """Copy the jars, and put their folder into its place in one step: a parallel start never sees half."""
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


if __name__ == "__main__":  # for spark-submit's --jars
    sys.stdout.write(",".join(str(jar) for jar in cached() or resolve()) + "\n")
