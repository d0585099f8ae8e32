"""Sources in a bucket of a real S3 server: listed, read, and taken into a lake on local disk."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import obstore
import pytest
from pyspark import cloudpickle

from lakehouse import Lakehouse
from runtime.engine import Engine
from runtime.errors import SourceError, StorageError
from runtime.s3.chosen import chosen_access
from runtime.s3.config import Access
from runtime.settings.model import S3
from runtime.sources.datasource import SourceRecords
from runtime.sources.filesystems import FileSystems
from runtime.sources.inspection import inspect
from runtime.sources.listing import Listing, list_source
from runtime.sources.open_file import ContentReader
from runtime.sources.slicing import cut, to_json
from tests.support.checkout import ROOT
from tests.support.comparing import assert_same_tables
from tests.support.deliveries import Deliveries, play, song
from tests.support.s3_server import CREDENTIALS, KEY, REGION, SECRET, S3Server, free_port, upload
from tests.support.worker import IN_A_WORKER

OpenLake = Callable[..., Lakehouse]


def listing(server: S3Server, root: str) -> Listing:
    return list_source("s", root, FileSystems(Access(server.endpoint, REGION)))


def paths(found: Listing) -> list[str]:
    return [file.path for file in found.files]


def zipped(**members: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.json", content)
    return archive.getvalue()


def test_a_bucket_is_listed_as_a_folder_would_be(s3: S3Server) -> None:
    store = s3.bucket("listed")
    for key in (
        "in/a.json", "in/b.txt", "in/_x/c.json", "in/.d.json", "in/2018/e f%20é.json", "in/g.json.gz",
        "inner/h.json",
    ):  # fmt: skip
        obstore.put(store, key, b"{}")
    found = listing(s3, "s3://listed/in")
    assert paths(found) == ["2018/e f%20é.json", "a.json", "g.json.gz"]
    assert found.files[1].uri == "s3://listed/in/a.json"
    assert found.files[1].size == 2
    assert paths(listing(s3, "s3://listed/in/a.json")) == ["a.json"]


def test_the_signature_of_an_object_follows_its_content_and_not_its_time(s3: S3Server) -> None:
    store = s3.bucket("signed")
    seen = []
    for content in (b"{1}", b"{2}", b"{1}"):
        obstore.put(store, "a.json", content)
        seen.append(listing(s3, "s3://signed").files[0].signature)
    assert seen[0] == seen[2] != seen[1]


def test_members_of_a_zip_and_compressed_text_are_read_in_place(s3: S3Server) -> None:
    store = s3.bucket("packed")
    large = os.urandom(3 << 20).hex().encode()
    obstore.put(store, "a.zip", zipped(one=b'{"a":1}', two=large))
    obstore.put(store, "b.json.gz", gzip.compress(b'{"b":1}\n{"b":2}'))
    found = listing(s3, "s3://packed")
    assert paths(found) == ["a.zip!one.json", "a.zip!two.json", "b.json.gz"]
    with ContentReader(FileSystems(Access(s3.endpoint, REGION))) as content:
        read = [b"".join(content.chunks(file.uri)) for file in found.files]
    assert read == [b'{"a":1}', large, b'{"b":1}\n{"b":2}']


def test_a_part_of_an_object_is_read_without_the_rest(s3: S3Server) -> None:
    text = b"".join(b"%08d\n" % number for number in range(500_000))
    obstore.put(s3.bucket("large"), "a.json", text)
    with ContentReader(FileSystems(Access(s3.endpoint, REGION))) as content:
        assert b"".join(content.exactly("s3://large/a.json", 9 * 300_000, 27)) == (
            b"00300000\n00300001\n00300002\n"
        )


def test_an_object_that_changes_between_two_requests_is_not_read_as_a_mixture(s3: S3Server) -> None:
    store = s3.bucket("changing")
    obstore.put(store, "a.json", b"1" * 100)
    stream = FileSystems(Access(s3.endpoint, REGION)).open("s3://changing/a.json")
    assert stream.read(10) == b"1" * 10
    obstore.put(store, "a.json", b"2" * 100)
    stream.seek(50)
    with pytest.raises(OSError, match="it changed while being read"):
        stream.read(10)


def test_a_listing_of_thousands_is_told_while_it_goes_on(s3: S3Server) -> None:
    (s3.folder / "data" / "many" / "in").mkdir(parents=True)
    for number in range(2_500):  # as the server stores them; putting each would take longer
        (s3.folder / "data" / "many" / "in" / f"{number:04}.json").write_text("{}")
    told = list[tuple[str, int]]()
    places = FileSystems(Access(s3.endpoint, REGION))
    found = list_source("s", "s3://many/in", places, lambda source, files: told.append((source, files)))
    assert len(found.files) == 2_500
    assert told == [("s", 1_000), ("s", 2_000)]


def test_what_is_not_there_and_what_refuses_are_told_apart(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(s3.bucket("there"), "in/a.json", b"{}")
    with pytest.raises(SourceError, match="s3://there/im does not exist: the bucket holds nothing"):
        listing(s3, "s3://there/im")
    with pytest.raises(StorageError, match=r"s3://absent/in: there is no such bucket \(bucket absent"):
        listing(s3, "s3://absent/in")
    nobody = Access(f"http://127.0.0.1:{free_port()}", REGION)
    with pytest.raises(StorageError, match="nothing answers there"):
        list_source("s", "s3://there/in", FileSystems(nobody))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="the secret access key is wrong") as refusal:
        listing(s3, "s3://there/in")
    assert SECRET not in str(refusal.value)
    assert "wrong)" not in str(refusal.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(StorageError, match="the access key id is not known there"):
        listing(s3, "s3://there/in")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(StorageError, match=r"AWS_SECRET_ACCESS_KEY is set .* and AWS_ACCESS_KEY_ID is not"):
        listing(s3, "s3://there/in")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/none")
    with pytest.raises(StorageError, match="no credentials were found"):
        listing(s3, "s3://there/in")


def test_a_public_bucket_is_read_without_credentials_and_a_private_one_is_not(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("public", "private"):
        obstore.put(s3.bucket(name), "a.json", b"{}")
    s3.publish("public")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    places = FileSystems(Access(s3.endpoint, REGION, anonymous=True))
    (listed,) = list_source("s", "s3://public", places).files
    with ContentReader(places) as content:
        assert b"".join(content.chunks(listed.uri)) == b"{}"
    with pytest.raises(StorageError, match=r"access is denied .* only where it is public"):
        list_source("s", "s3://private", places)


def test_credentials_come_from_a_profile_or_from_the_command_it_names(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    obstore.put(s3.bucket("profiled"), "a.json", b"{}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"
        "[wrong]\naws_access_key_id=x\naws_secret_access_key=y\n"
    )
    said = f'{{"Version": 1, "AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET}"}}'
    (tmp_path / "said.json").write_text(said)
    (tmp_path / ".aws" / "config").write_text(
        f"[profile asking]\ncredential_process = cat {tmp_path / 'said.json'}\n"
        "[profile code]\nrole_arn = arn:aws:iam::1:role/r\nmfa_serial = arn:aws:iam::1:mfa/m\n"
        "[profile region]\nregion = us-east-1\n"
    )
    assert paths(listing(s3, "s3://profiled")) == ["a.json"]
    monkeypatch.setenv("AWS_PROFILE", "asking")
    assert paths(listing(s3, "s3://profiled")) == ["a.json"]
    for profile, said in (
        ("wrong", "the access key id is not known there"),
        ("code", "the profile 'code' asks for a code or a browser, which a run cannot"),
        ("region", "no credentials were found"),
        ("none", "there is no profile 'none'"),
    ):
        monkeypatch.setenv("AWS_PROFILE", profile)
        with pytest.raises(StorageError, match=said):
            listing(s3, "s3://profiled")


def test_region_and_endpoint_may_stand_in_the_profile_and_settings_and_variables_go_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert chosen_access(S3()) == Access()
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n"
        "[profile mine]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:9000\n"
    )
    assert chosen_access(S3()) == Access(None, "eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert chosen_access(S3(anonymous=True)) == Access(
        "http://127.0.0.1:9000", "eu-central-1", anonymous=True
    )
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert chosen_access(S3(endpoint="https://s3.example")) == Access("https://s3.example", "us-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://ada:hunter2@127.0.0.1")
    with pytest.raises(StorageError, match="holds a password") as refused:
        chosen_access(S3())
    assert "hunter2" not in str(refused.value)


def test_empty_variables_are_none_for_every_client(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    obstore.put(s3.bucket("empty"), "songs/a.json", b"{}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"
    )
    lake = Lakehouse.open(lake="s3://empty/lake", song_data="s3://empty/songs", log_data=str(tmp_path))
    assert [file["path"] for file in lake.plan()["files"]] == ["s3://empty/songs/a.json"]


@pytest.mark.parametrize("command", ["plan", "status"])
@pytest.mark.process
def test_without_an_endpoint_it_is_amazon_that_is_asked(command: str, tmp_path: Path) -> None:
    """By our own client and by delta-rs; a proxy of the test's own says whom they asked for."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        asked = list[str]()
        threading.Thread(target=refuse_all, args=(proxy, asked), daemon=True).start()
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AWS_", "LAKEHOUSE_"))
            },
            **CREDENTIALS,
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}",
        }
        places = ["--lake", str(tmp_path / "lake")] if command == "plan" else ["--lake", "s3://lakes/lake"]
        ended = subprocess.run(
            [sys.executable, "lakehouse.py", command, "--target", "s3", *places],
            cwd=ROOT, env=environment, capture_output=True, text=True,
        )  # fmt: skip
    bucket = "udacity-dend" if command == "plan" else "lakes"
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"bucket {bucket} at AWS, region us-west-2" in ended.stderr
    assert set(asked) == {"CONNECT s3.us-west-2.amazonaws.com:443 HTTP/1.1"}


def refuse_all(proxy: socket.socket, asked: list[str]) -> None:
    """Note whom each client wants to be connected with, and say no."""
    with suppress(OSError):  # closed
        while True:
            client, _ = proxy.accept()
            with client:
                asked.append(client.recv(4096).decode().partition("\r\n")[0])
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


def test_a_worker_without_our_package_reads_a_bucket_with_credentials_of_its_own(
    s3: S3Server, tmp_path: Path
) -> None:
    obstore.put(s3.bucket("worked"), "a.json", b'{"a":1}\n{"a":2}')
    access = Access(s3.endpoint, REGION)
    (listed,) = list_source("s", "s3://worked", FileSystems(access)).files
    with ContentReader(FileSystems(access)) as content:
        slices, _ = cut(listed, inspect(listed, content), 1)
    source = SourceRecords({"partitions": to_json([slices]), "s3": json.dumps(access)})
    plan = cloudpickle.dumps(source)  # type: ignore[no-untyped-call]
    assert KEY.encode() not in plan
    assert SECRET.encode() not in plan
    worker = subprocess.run(
        [sys.executable, "-c", IN_A_WORKER], input=plan, capture_output=True, cwd=tmp_path
    )
    assert (worker.stdout.decode().strip(), worker.stderr.decode()) == ("2", "")


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_sources_in_a_bucket_give_the_tables_of_sources_on_disk(
    s3: S3Server, engine: Engine, dirty_sample: Path, dirty_lake: Lakehouse, tmp_path: Path, engine_name: str
) -> None:
    upload(s3.bucket("delivered"), dirty_sample / "log_data", "log_data/")
    lake = Lakehouse.open(
        lake=str(tmp_path / "lake"),
        song_data=str(dirty_sample / "song_data"),
        log_data="s3a://delivered/log_data",
        engine=engine_name,
    )
    lake.run()
    assert_same_tables(engine, lake, dirty_lake)
    assert lake.run().as_json() == {"new_files": 0, "batches": []}


@pytest.mark.engine
@pytest.mark.long_on_spark
def test_a_correction_of_the_same_size_in_the_same_second_is_taken_in(
    s3: S3Server, engine: Engine, open_lake: OpenLake, deliveries: Deliveries
) -> None:
    deliveries.songs("a.json", [song()])
    upload(s3.bucket("corrected"), deliveries.songs("a.json", [song(title="Notes")]).parent, "songs/")
    upload(s3.bucket("corrected"), deliveries.logs("a.json", [play(level="free")]).parent, "logs/")
    lake = Lakehouse.open(
        lake=open_lake("lake", deliveries).settings.lake,
        song_data="s3://corrected/songs",
        log_data="s3://corrected/logs",
        engine=engine.name,
    )
    lake.run()
    upload(s3.bucket("corrected"), deliveries.logs("a.json", [play(level="paid")]).parent, "logs/")
    lake.run()
    assert lake.sql("select level from gold.users").to_pylist() == [{"level": "paid"}]
