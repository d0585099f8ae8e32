"""A real S3 server for tests: S3Proxy, from Maven Central, on a free loopback port."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from obstore.store import S3Store

VERSION = "4.1.0"
JAR = f"s3proxy-{VERSION}-jar-with-dependencies.jar"
URL = f"https://repo1.maven.org/maven2/org/gaul/s3proxy/{VERSION}/{JAR}"
SHA256 = "a4d025969aaf796616ed4b1e2491d87d455ce84bb28cb9db086b2e6aaa68b48d"
KEY, SECRET, REGION = "tests-key", "tests-secret", "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",  # no role of this machine
}
NO_JAVA = (
    "the S3 server of the tests needs Java: apt-get install openjdk-17-jre-headless (Debian, Ubuntu), "
    "or set JAVA_HOME"
)


def java() -> str | None:
    """The path of the Java program, None if there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")


def jar() -> Path:
    """The server's jar in the user's cache. Downloads it once and checks its SHA-256."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    cached = base / "sparkify-lakehouse" / JAR
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_name(f"{JAR}.{os.getpid()}")
        with urllib.request.urlopen(URL, timeout=120) as answer:
            content = answer.read()
        digest = hashlib.sha256(content).hexdigest()
        assert digest == SHA256, f"{URL}: expected SHA-256 {SHA256}, got {digest}"
        part.write_bytes(content)
        part.rename(cached)  # in one step: a parallel start never sees half a jar
    return cached


class S3Server:
    """A server over one folder. It can be killed and started again on the same port."""

    def __init__(self, folder: Path, *, read_only: bool = False, any_token: bool = False) -> None:
        self.folder = folder
        self.read_only = read_only
        self.any_token = any_token  # S3Proxy has no session tokens: it refuses or ignores them
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True, exist_ok=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> S3Server:
        """Start the server and wait until it answers."""
        program = java()
        assert program, NO_JAVA
        conf = self.folder / "s3proxy.conf"
        conf.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        with (self.folder / "s3proxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-Xmx512m", "-XX:+UseSerialGC", "-jar", str(jar()), "--properties", str(conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait()
        return self

    def kill(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process: it accepts requests and never answers, until it is killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def bucket(self, name: str) -> S3Store:
        """A client of a bucket. Creates a missing bucket, readable by its owner only."""
        (self.folder / "data" / name).mkdir(exist_ok=True)
        (self.folder / "data" / name).chmod(0o750)  # S3Proxy takes these bits for the bucket's
        return S3Store(
            name, endpoint=self.endpoint, region=REGION, access_key_id=KEY, secret_access_key=SECRET,
            client_options={"allow_http": True},
        )  # fmt: skip

    def publish(self, name: str) -> None:
        """Make a bucket and its current objects readable for all users."""
        for path in (self.folder / "data" / name, *(self.folder / "data" / name).rglob("*")):
            path.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Environment variables of a user of this server, with no credentials of this machine."""
        return {
            **CREDENTIALS,
            "LAKEHOUSE_S3__ENDPOINT": self.endpoint,
            "LAKEHOUSE_S3__REGION": REGION,
        }

    def _settings(self) -> Mapping[str, object]:
        return {
            "s3proxy.endpoint": self.endpoint,
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": KEY,
            "s3proxy.credential": SECRET,
            "s3proxy.read-only-blobstore": str(self.read_only).lower(),
            "s3proxy.ignore-unknown-headers": str(self.any_token).lower(),
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": self.folder / "data",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "s3proxy.log").read_text()
            try:
                urllib.request.urlopen(self.endpoint, timeout=5).close()
            except urllib.error.HTTPError as refusal:
                refusal.close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"S3Proxy does not answer: {(self.folder / 's3proxy.log').read_text()}")


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def upload(store: S3Store, folder: Path, prefix: str = "") -> None:
    """Upload every file below a folder to a prefix."""
    import obstore

    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        obstore.put(store, prefix + file.relative_to(folder).as_posix(), file.read_bytes())


def keys(store: S3Store, prefix: str = "") -> list[str]:
    """The names of all objects below a prefix, sorted."""
    pages: Iterable[Any] = store.list(prefix or None)
    return sorted(item["path"] for page in pages for item in page)
