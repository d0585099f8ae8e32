"""Sail authenticates no client, so no other user may reach its port, nor answer in its place."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

# Where the tests run as root, the stranger is another user, who cannot do what root may.
pytestmark = [pytest.mark.process, pytest.mark.long]

STRANGER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
SERVING = """
import os, signal, socket, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Sail takes it all the same
from runtime import engine
sail = engine.start("sail", confs={}, partitions=1)
print(sail._server.listening_address[1], flush=True)
sys.stdin.readline()
print(sail.spark.range(3).count(), sail.is_alive(), flush=True)
os.kill(os.getpid(), signal.SIGINT)
while sail.is_alive():
    pass
print("ended", flush=True)
sys.stdin.readline()
again = engine.start("sail", confs={}, partitions=1)
print(again.spark.range(4).count())
"""
STRANGE = """
import socket, sys
address = "127.0.0.1", int(sys.argv[1])
try:
    socket.create_connection(address)
    print("connected")
except ConnectionRefusedError:
    print("refused")
squatter = socket.socket()
squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    squatter.bind(address)
    squatter.listen()
    print("listens")
except OSError:
    print("in use")
"""
# What a stranger does between the start of the server and the moment when the port is closed.
STAYS = """
    stranger.append(socket.create_connection(address))
    stranger[0].sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    stranger[0].recv(9)  # the server has accepted it
"""
LEAVES = """
    client = SparkSession.builder.remote("sc://{}:{}".format(*address)).create()
    client.range(1).collect()
    client.client._channel.close()
"""
LEAVES_AT_ONCE = """
    raw = socket.create_connection(address)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
"""
INTRUDED = """
import os, socket, struct
from pyspark.sql.connect.session import SparkSession
from runtime import engine
from runtime.engine import retry_policy as patience
from runtime.errors import EngineError

stranger = []
close = patience.PrivatePort
def late(address):
    {deed}
    return close(address)

patience.PrivatePort = late
try:
    print(engine.start("sail", confs={{}}, partitions=1).spark.range(3).count(), flush=True)
except EngineError as wrong:
    print(wrong, flush=True)
os._exit(0)
"""


def test_no_other_program_reaches_the_port_or_listens_on_it() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", SERVING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdin is not None
    assert run.stdout is not None
    port = run.stdout.readline().strip()
    assert strange(port) == "refused\nin use\n"
    print(file=run.stdin, flush=True)
    assert run.stdout.readline() == "3 True\n"
    assert run.stdout.readline() == "ended\n"
    assert strange(port) == "refused\nin use\n"
    said, _ = run.communicate("\n", timeout=60)
    assert (run.returncode, said) == (0, "4\n")


@pytest.mark.parametrize("deed", [STAYS, LEAVES])
def test_an_engine_that_another_program_has_used_is_not_used(deed: str) -> None:
    assert "another program connected to Sail's port" in intruded(deed)


def test_a_program_that_looks_whether_the_port_is_open_stops_no_run() -> None:
    assert intruded(LEAVES_AT_ONCE) == "3\n"


def strange(port: str) -> str:
    """What another program finds at the port."""
    words = [*STRANGER, "/usr/bin/env", "python3", "-c", STRANGE, port]
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout


def intruded(deed: str) -> str:
    """What a program prints that is disturbed in this way while it starts Sail."""
    words = [sys.executable, "-c", INTRUDED.format(deed=deed)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.engine
@pytest.mark.spark_only
def test_the_ports_of_spark_on_one_machine_want_a_secret() -> None:
    body = (
        "from runtime import engine\n"
        "spark = engine.start('spark', confs={}, partitions=1).spark\n"
        "conf = spark.sparkContext.getConf()\n"
        "print(conf.get('spark.authenticate'), conf.get('spark.driver.host'), spark.range(3).count())\n"
    )
    ended = subprocess.run([sys.executable, "-c", body], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "true 127.0.0.1 3\n"
