"""Profiles of another role and of a sign-in: a real S3 server takes only the keys that these give."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from pyspark import cloudpickle

from lakehouse import Lakehouse
from runtime.errors import StorageError
from runtime.process.environment import set_environment
from runtime.s3.chosen import chosen_access
from runtime.s3.config import Access
from runtime.s3.credentials import keys, provider, refuse_sign_in
from runtime.s3.options import variables
from runtime.settings.model import S3
from runtime.sources.datasource import SourceRecords
from runtime.sources.filesystems import FileSystems
from runtime.sources.listing import list_source
from tests.support.checkout import ROOT
from tests.support.deliveries import Deliveries, play, song
from tests.support.s3_server import KEY, SECRET, S3Server, upload
from tests.support.sts_server import StsServer

ROLE = "arn:aws:iam::123456789012:role/loader"
CONFIG = f"""
[profile base]
aws_access_key_id = base-key
aws_secret_access_key = base-secret
[profile loader]
role_arn = {ROLE}
source_profile = base
[profile forbidden]
role_arn = arn:aws:iam::123456789012:role/forbidden
source_profile = base
[profile office]
sso_session = office
sso_account_id = 123456789012
sso_role_name = analyst
[sso-session office]
sso_region = us-east-1
sso_start_url = https://office.example/start
"""
QUESTION = "select user_id, song_id, level, start_time from gold.songplays order by 1, 4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server(tmp_path_factory.mktemp("profiles"), any_token=True).start()
    yield started
    started.kill()


@pytest.fixture
def sts(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StsServer]:
    """Nothing in the environment but where AWS's services are; no region either."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "LAKEHOUSE_S3"))]:
        monkeypatch.delenv(name)
    with StsServer(ROLE, KEY, SECRET) as started:
        for name, value in (
            ("HOME", str(tmp_path)),
            ("AWS_ENDPOINT_URL_STS", started.address),
            ("AWS_ENDPOINT_URL_SSO", started.address),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("LAKEHOUSE_S3__ENDPOINT", server.endpoint),
        ):
            monkeypatch.setenv(name, value)
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "config").write_text(CONFIG)
        yield started


def sign_in(home: Path, expires: str) -> None:
    """What `aws sso login` leaves behind."""
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {"startUrl": "https://office.example/start", "region": "us-east-1", "accessToken": "signed-in"}
    name = hashlib.sha1(b"office").hexdigest()
    (cache / f"{name}.json").write_text(json.dumps({**token, "expiresAt": expires}))


def command(*arguments: str) -> str:
    """What it prints; the environment is the test's."""
    ended = subprocess.run(
        [sys.executable, "lakehouse.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("profile", ["loader", "office"])
def test_a_lake_in_a_bucket_is_filled_from_another_by_the_keys_that_a_profile_is_lent(
    profile: str, server: S3Server, sts: StsServer, deliveries: Deliveries, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    songs, logs = deliveries.songs("a.json", [song()]).parent, deliveries.logs("a.json", [play()]).parent
    upload(server.bucket(f"sources-{profile}"), songs, "songs/")
    upload(server.bucket(f"sources-{profile}"), logs, "logs/")
    server.bucket(f"lakes-{profile}")
    sign_in(tmp_path, "2100-01-01T00:00:00Z")
    monkeypatch.setenv("AWS_PROFILE", profile)
    lake = ["--lake", f"s3://lakes-{profile}/lake"]
    sources = f"s3://sources-{profile}"
    command("run", *lake, "--song-data", f"{sources}/songs", "--log-data", f"{sources}/logs", "--quiet")
    local = ["--lake", str(tmp_path / "local")]
    command("run", *local, "--song-data", str(songs), "--log-data", str(logs), "--quiet")
    answer = command("query", QUESTION, *lake, "--format", "json")
    assert json.loads(answer)[0]["song_id"] is not None
    assert answer == command("query", QUESTION, *local, "--format", "json")
    who = {"loader": ("base-key", ROLE), "office": ("signed-in", "analyst")}
    assert set(sts.asked) == {who[profile]}


def test_a_role_is_asked_for_once_a_process_and_its_keys_do_not_travel_to_workers(
    server: S3Server, sts: StsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(server.bucket("listed"), "a.json", b"{}")
    monkeypatch.setenv("AWS_PROFILE", "loader")
    access = Access(server.endpoint)
    for _ in range(3):
        assert [file.path for file in list_source("s", "s3://listed", FileSystems(access)).files] == [
            "a.json"
        ]
    given = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "a-token"}
    assert keys() == given  # for readers that know no profiles
    assert sts.asked == [("base-key", ROLE)]
    plan = cloudpickle.dumps(SourceRecords({"partitions": "[]", "s3": json.dumps(access)}))  # type: ignore[no-untyped-call]
    assert b"botocore" in plan  # the code travels
    assert SECRET.encode() not in plan
    assert b"base-secret" not in plan


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("forbidden", "'forbidden' gives no credentials: .* User ada is not authorized to perform"),
        ("office", "'office' gives no credentials: .*(expired|SSO)"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_profile_and_why(
    profile: str, said: str, sts: StsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(tmp_path, "2020-01-01T00:00:00Z")
    monkeypatch.setenv("AWS_PROFILE", profile)
    with pytest.raises(StorageError, match=said):
        Lakehouse.open(lake="s3://lakes/lake", song_data=str(tmp_path), log_data=str(tmp_path)).plan()


def test_without_botocore_such_a_profile_says_what_to_install(
    sts: StsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "loader")
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(StorageError, match=r"pip install 'sparkify-lakehouse\[aws\]'"):
        provider()


def test_spark_refuses_a_sign_in_before_it_asks_anybody(
    sts: StsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "office")
    with pytest.raises(
        StorageError, match=r"which the engine sail knows, and Spark does not\. .* unset AWS_PROFILE"
    ):
        refuse_sign_in()
    monkeypatch.setenv("AWS_PROFILE", "loader")
    refuse_sign_in()
    assert sts.asked == []


def test_what_is_placed_for_one_lake_is_not_taken_for_what_the_environment_says_of_the_next(
    sts: StsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Sail does, in this process: it gives the classes of these modules anew.
    cloudpickle.loads(cloudpickle.dumps(SourceRecords({"s3": json.dumps(Access())})))  # type: ignore[no-untyped-call]
    monkeypatch.setenv("AWS_TIMEOUT", "7s")
    first, second = Access("http://127.0.0.1:9000", "eu-west-1"), Access(None, "eu-north-1")
    set_environment(variables(first))
    assert (os.environ["AWS_REGION"], os.environ["AWS_ENDPOINT"]) == ("eu-west-1", "http://127.0.0.1:9000")
    assert chosen_access(S3()) == Access()
    set_environment(variables(second))
    assert os.environ["AWS_REGION"] == "eu-north-1"
    assert "AWS_ENDPOINT" not in os.environ
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    assert chosen_access(S3()) == Access(None, "sa-east-1")
    set_environment({})
    assert (os.environ["AWS_REGION"], os.environ["AWS_TIMEOUT"]) == ("sa-east-1", "7s")
