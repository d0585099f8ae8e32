"""Settings: who wins, what is refused, and what an error tells."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.errors import ConfigError
from runtime.settings.layers import targets
from runtime.settings.load import CONF, Settings, check_sources, load_settings, under_spark_submit
from runtime.settings.model import KEYS
from runtime.settings.paths import CODE_FOLDERS

Load = Callable[..., Settings]
Refusal = Callable[..., str]
KEY_ID = "AKIA" + "ABCDEFGHIJKLMNOP"  # in two parts, so that no scanner takes it for a real one


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty repository whose conf folder holds a base and two targets."""
    for name in ("base", "local", "other"):
        write(tmp_path / "repo", name, "lake: data/lakehouse" if name == "base" else "")
    return tmp_path / "repo"


@pytest.fixture
def load(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """load_settings in that repository, an empty environment, and another working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def load(
        target: str | None = None,
        flags: Mapping[str, str | None] = {},
        sets: Sequence[str] = (),
        environ: Mapping[str, str] = {},
        submitted: bool | None = None,
    ) -> Settings:
        return load_settings(
            target,
            flags=flags,
            sets=sets,
            environ=environ,
            conf=repository / "conf",
            under_spark_submit=submitted,
        )

    return load


@pytest.fixture
def refusal(load: Load) -> Refusal:
    """The message of the ConfigError that loading ends with."""

    def refusal(*args: object, **kwargs: object) -> str:
        with pytest.raises(ConfigError) as caught:
            load(*args, **kwargs)
        assert caught.value.exit_code == 2
        return str(caught.value)

    return refusal


def write(repository: Path, name: str, text: str) -> None:
    (repository / "conf").mkdir(parents=True, exist_ok=True)
    (repository / "conf" / f"{name}.yaml").write_text(text + "\n", encoding="utf-8")


# The files that ship


def test_base_names_every_setting_and_agrees_with_the_defaults() -> None:
    shipped = load_settings(environ={}, under_spark_submit=False)
    defaults = Settings(lake=shipped.lake)
    assert set(KEYS) <= set(shipped.origin)
    assert shipped.model_copy(update={"song_data": None, "log_data": None}) == defaults.model_copy(
        update={"origin": shipped.origin}
    )


@pytest.mark.parametrize("target", targets(CONF))
def test_every_shipped_target_loads_once_a_lake_is_given(target: str) -> None:
    settings = load_settings(target, flags={"lake": "s3://bucket/lake"}, environ={})
    assert settings.target == target
    assert settings.lake == "s3://bucket/lake"


def test_local_is_the_default_target_and_reads_the_sample() -> None:
    settings = load_settings(environ={}, under_spark_submit=False)
    root = CONF.parent
    assert settings.target == "local"
    assert settings.lake == str(root / "data/lakehouse")
    assert settings.song_data == str(root / "data/sample/song_data")
    assert settings.log_data == str(root / "data/sample/log_data")


def test_s3_reads_the_public_bucket_and_demands_a_lake() -> None:
    with pytest.raises(ConfigError, match=r"^conf/s3.yaml:lake: none is given.*--lake"):
        load_settings("s3", environ={})
    settings = load_settings("s3", flags={"lake": "s3://b/l"}, environ={})
    assert settings.song_data == "s3://udacity-dend/song_data"
    assert settings.s3.region == "us-west-2"


@pytest.mark.parametrize(("engine", "size"), [("sail", 256 * 1024**2), ("spark", 1024**3)])
def test_a_batch_is_as_large_as_suits_the_engine_unless_its_size_is_chosen(
    engine: str, size: int, load: Load
) -> None:
    assert load(flags={"engine": engine}).bytes_of_batch == size
    assert load(flags={"engine": engine}, sets=["batch_bytes=1kB"]).bytes_of_batch == 1000


def test_cluster_is_spark_with_larger_batches_and_leaves_the_master_to_spark_submit() -> None:
    settings = load_settings("cluster", flags={"lake": "s3://b/l"}, environ={})
    assert settings.engine == "spark"
    assert settings.bytes_of_batch == 1024**3
    assert "spark.master" not in settings.spark


# Who wins


def test_a_stronger_place_overrides_every_weaker_one(repository: Path, load: Load) -> None:
    write(repository, "base", "lake: /base\nlease_seconds: 1")
    assert load().lake == "/base"
    write(repository, "local", "lake: /target")
    assert load().lake == "/target"
    environ = {"LAKEHOUSE_LAKE": "/environment"}
    assert load(environ=environ).lake == "/environment"
    assert load(environ=environ, sets=["lake=/set"]).lake == "/set"
    settings = load(environ=environ, sets=["lake=/set"], flags={"lake": "/flag"})
    assert settings.lake == "/flag"
    assert settings.origin == {"lake": "--lake", "lease_seconds": "conf/base.yaml:lease_seconds"}


def test_of_two_sets_the_later_counts_and_a_flag_that_is_none_does_not(load: Load) -> None:
    settings = load(sets=["lake=/a", "lake=/b"], flags={"lake": None})
    assert settings.lake == "/b"


def test_a_target_changes_one_key_of_a_group_and_keeps_the_others(repository: Path, load: Load) -> None:
    write(repository, "base", "lake: /l\ns3: {region: here}\nspark: {spark.a: 1, spark.b: 1}")
    write(repository, "local", "s3: {anonymous: true}\nspark: {spark.b: 2}")
    settings = load()
    assert (settings.s3.region, settings.s3.anonymous) == ("here", True)
    assert settings.spark == {"spark.a": "1", "spark.b": "2"}


def test_a_lake_that_is_refused_is_not_called_missing_as_well(repository: Path, refusal: Refusal) -> None:
    write(repository, "base", "lake: gs://bucket")
    assert "none is given" not in refusal()
    write(repository, "local", "lake: null")
    assert "none is given" not in refusal(flags={"lake": "gs://bucket"})


def test_the_target_comes_from_the_call_or_else_the_environment(load: Load) -> None:
    environ = {"LAKEHOUSE_TARGET": "other"}
    assert load(environ=environ).target == "other"
    assert load("local", environ=environ).target == "local"


def test_the_environment_reaches_nested_keys_and_its_text_gets_their_type(load: Load) -> None:
    environ = {
        "LAKEHOUSE_S3__ENDPOINT": "http://127.0.0.1:9000",
        "LAKEHOUSE_S3__ANONYMOUS": "true",
        "LAKEHOUSE_LEASE_SECONDS": "5",
        "LAKEHOUSE_PARTITIONS": "null",
        "LAKEHOUSE_NO_SKIPS": "1",
        "PATH": "/bin",
    }
    settings = load(environ=environ)
    assert settings.s3.endpoint == "http://127.0.0.1:9000"
    assert settings.s3.anonymous
    assert settings.lease_seconds == 5
    assert settings.partitions is None


def test_a_null_source_is_not_read(repository: Path, load: Load) -> None:
    write(repository, "local", "song_data: /songs\nlog_data: /logs")
    settings = load(sets=["song_data=null"])
    assert (settings.song_data, settings.log_data) == (None, "/logs")


def test_settings_are_frozen(load: Load) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().lake = "/elsewhere"


# Values


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("268435456", 256 * 1024**2),
        ("256MiB", 256 * 1024**2),
        ("64 MB", 64_000_000),
        ("1.5gib", 3 * 1024**3 // 2),
        ("10 kB", 10_000),
        ("7b", 7),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int, repository: Path, load: Load) -> None:
    assert load(sets=[f"batch_bytes={text}"]).batch_bytes == size
    write(repository, "local", f"max_record_bytes: {text}")
    assert load().max_record_bytes == size


@pytest.mark.parametrize("text", ["0", "0MB", "-1", "many", "5 parsecs", "", "1e3"])
def test_a_size_below_one_or_without_sense_is_refused(text: str, refusal: Refusal) -> None:
    message = refusal(sets=[f"batch_bytes={text}"])
    assert message.startswith("--set batch_bytes: expected ")
    assert message.endswith(f"got '{text}'")


def test_spark_configuration_is_handed_over_as_text(repository: Path, load: Load) -> None:
    write(repository, "local", "spark: {spark.speculation: true, spark.n: 200, spark.f: 0.5}")
    settings = load(sets=["spark.executor.memory=4g", "spark.o=-Da=b"])
    assert settings.spark == {
        "spark.speculation": "true",
        "spark.n": "200",
        "spark.f": "0.5",
        "spark.executor.memory": "4g",
        "spark.o": "-Da=b",
    }


def test_groups_whose_lines_are_all_commented_out_are_empty(repository: Path, load: Load) -> None:
    write(repository, "local", "spark:\n  # spark.a: 1\ns3:\n")
    assert load().spark == {}


# Locations


def test_a_relative_path_is_the_users_on_a_command_line_and_the_repositorys_in_a_file(
    repository: Path, load: Load, tmp_path: Path
) -> None:
    assert load().lake == str(repository / "data/lakehouse")
    here = str(tmp_path / "here" / "mine")
    assert load(flags={"lake": "mine/"}).lake == here
    assert load(sets=["lake=./mine"]).lake == here
    assert load(environ={"LAKEHOUSE_LAKE": "../here/mine"}).lake == here


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ("s3://bucket/lake/", "s3://bucket/lake"),
        ("s3a://bucket/lake", "s3://bucket/lake"),
        ("S3A://bucket", "s3://bucket"),
        ("file:///srv/my%20lake", "/srv/my lake"),
        ("file://localhost/srv/lake", "/srv/lake"),
        ("file:/srv/lake", "/srv/lake"),
        ("/srv/./a/../lake/", "/srv/lake"),
    ],
)
def test_a_location_has_one_spelling(given: str, location: str, load: Load) -> None:
    assert load(flags={"lake": given}).lake == location


def test_a_tilde_is_the_home_folder_where_no_shell_expands_it(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(environ={"LAKEHOUSE_LAKE": "~/lake"}).lake == "/home/ada/lake"


@pytest.mark.parametrize(
    "location",
    ["gs://b/l", "hdfs://n/l", "https://h/l", "s3:/b/l", "s3://", "s3:///l", "file://host/l"],
)
def test_another_scheme_or_half_a_uri_is_refused(location: str, refusal: Refusal) -> None:
    message = refusal(flags={"lake": location})
    assert message == (f"--lake: expected a local path, file:///path or s3://bucket/key, got {location!r}")


@pytest.mark.parametrize("folder", CODE_FOLDERS)
def test_a_lake_in_a_code_folder_is_refused(folder: str, repository: Path, refusal: Refusal) -> None:
    for lake in (repository / folder, repository / folder / "lake"):
        message = refusal(flags={"lake": str(lake)})
        assert message.startswith(f"--lake: lake {lake} lies in the code folder {folder}")


def test_a_lake_that_is_the_repository_or_a_file_is_refused(repository: Path, refusal: Refusal) -> None:
    (repository / "README.md").touch()
    assert "is the repository itself" in refusal(flags={"lake": str(repository)})
    assert "is a file" in refusal(flags={"lake": str(repository / "README.md")})


@pytest.mark.parametrize("character", "%#?*[]|\\")
def test_a_lake_whose_path_would_be_misread_is_refused(character: str, refusal: Refusal) -> None:
    assert f"has {character} in its path" in refusal(flags={"lake": f"/srv/a{character}b/lake"})


@pytest.mark.parametrize("key", ["a//b", "./a", "a/../b", "a/."])
def test_a_bucket_key_with_empty_or_dotted_parts_is_refused_for_a_lake(key: str, refusal: Refusal) -> None:
    assert "has an empty part, . or .. in its key" in refusal(flags={"lake": f"s3://bucket/{key}"})


def test_an_endpoint_with_a_password_is_refused_from_the_environment_too(refusal: Refusal) -> None:
    message = refusal(environ={"LAKEHOUSE_S3__ENDPOINT": "http://ada:hunter2@127.0.0.1:9000"})
    assert "LAKEHOUSE_S3__ENDPOINT: looks like a secret" in message
    assert "hunter2" not in message


def test_a_bucket_key_that_would_be_misread_is_refused_for_a_lake_only(refusal: Refusal, load: Load) -> None:
    message = refusal(flags={"lake": "s3://bucket/my lake"})
    assert message.startswith("--lake: lake s3://bucket/my lake has ' ' in its key")
    flags = {"lake": "s3://bucket/a.b_c-d=e~/f", "log_data": "s3://bucket/my logs"}
    assert load(flags=flags).log_data == "s3://bucket/my logs"


def test_a_lake_reached_through_a_symbolic_link_is_where_the_link_leads(
    repository: Path, refusal: Refusal, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(repository)
    assert "code folder gold" in refusal(flags={"lake": str(tmp_path / "link" / "gold" / "x")})


@pytest.mark.parametrize("top", ["/srv", "s3://bucket"])
def test_a_lake_and_a_source_may_not_hold_each_other(top: str, load: Load, refusal: Refusal) -> None:
    inside = refusal(flags={"lake": f"{top}/in/lake", "song_data": f"{top}/in"})
    assert f"--lake: lake {top}/in/lake lies in song_data {top}/in:" in inside
    around = refusal(flags={"lake": f"{top}/lake", "log_data": f"{top}/lake/logs"})
    assert f"log_data {top}/lake/logs lies in the lake {top}/lake:" in around
    assert "lies in" in refusal(flags={"lake": f"{top}/a", "song_data": f"{top}/a"})
    beside = load(flags={"lake": f"{top}/lake", "song_data": f"{top}/lake_songs"})
    assert beside.song_data == f"{top}/lake_songs"


# Mistakes, each told with its place


def test_all_problems_are_reported_at_once(repository: Path, refusal: Refusal) -> None:
    write(repository, "base", "lake: data/lakehouse\nlease_seconds: soon\nlaek: 1")
    write(repository, "local", "batch_bytes: [1]\ns3: {regoin: x}")
    message = refusal(
        sets=["partitions=0", "nonsense"],
        environ={"LAKEHOUSE_ENGIN": "sail"},
        flags={"lake": "gs://b", "engine": "flink"},
    )
    assert message == (
        "9 settings are wrong:"
        "\n  - --set: expected key=value, got 'nonsense'"
        "\n  - conf/base.yaml:lease_seconds: expected a valid integer, got 'soon'"
        "\n  - conf/base.yaml:laek: unknown key; did you mean lake?"
        "\n  - conf/local.yaml:batch_bytes: expected a valid integer, got a list"
        "\n  - conf/local.yaml:s3.regoin: unknown key; did you mean s3.region?"
        "\n  - environment variable LAKEHOUSE_ENGIN: unknown; did you mean LAKEHOUSE_ENGINE?"
        "\n  - --set partitions: expected greater than or equal to 1, got '0'"
        "\n  - --lake: expected a local path, file:///path or s3://bucket/key, got 'gs://b'"
        "\n  - --engine: expected 'sail' or 'spark', got 'flink'"
    )


def test_a_missing_source_is_told_together_with_what_else_is_wrong(refusal: Refusal) -> None:
    message = refusal(sets=["nonsense=1"], flags={"log_data": "/no/such/folder"})
    assert message.startswith("2 settings are wrong:")
    assert "--log-data: /no/such/folder does not exist" in message


def test_an_unknown_name_is_answered_with_the_nearest_in_the_same_form(refusal: Refusal) -> None:
    assert refusal(sets=["s3.endpiont=x"]) == ("--set s3.endpiont: unknown key; did you mean s3.endpoint?")
    assert refusal(environ={"LAKEHOUSE_S3__REGOIN": "x"}) == (
        "environment variable LAKEHOUSE_S3__REGOIN: unknown; did you mean LAKEHOUSE_S3__REGION?"
    )
    assert refusal(flags={"song_dta": "x"}) == "--song-dta: unknown; did you mean --song-data?"
    assert refusal(sets=["colour=blue"]) == "--set colour: unknown key"


def test_the_target_is_no_setting_of_a_file_or_a_set(repository: Path, refusal: Refusal) -> None:
    assert "chosen with --target" in refusal(sets=["target=other"])
    write(repository, "local", "target: other")
    assert "conf/local.yaml:target: a target is chosen" in refusal()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("lease_seconds: '60'", "lease_seconds: expected a valid integer, got '60'"),
        ("lease_seconds: yes", "lease_seconds: expected a valid integer, got true"),
        ("lease_seconds: 0", "lease_seconds: expected greater than or equal to 1, got 0"),
        ("lease_seconds: null", "lease_seconds: expected a valid integer, got null"),
        ("lake: 5", "lake: expected a valid string, got 5"),
        ("lake: {a: b}", "lake: expected a valid string, got a mapping"),
        ("lake: ''", "lake: expected at least 1 character, got ''"),
        ("s3: here", "s3: expected a mapping of keys such as s3.endpoint"),
        ("s3: {anonymous: 1}", "s3.anonymous: expected a valid boolean, got 1"),
        ("s3: {endpoint: h:9000}", "s3.endpoint: expected an address such as http://127"),
        ("spark: [1]", "spark: expected a mapping of keys such as spark.executor.memory"),
        ("spark: {spark.a: [1]}", "spark.a: expected a text, a number, true or false, got a list"),
        ("spark: {executor.memory: 4g}", "executor.memory: Spark's keys begin with `spark.`"),
        ("spark.executor.memory: 4g", "spark.executor.memory: write it under `spark:`"),
        ("7: 7", "7: unknown key"),
    ],
)
def test_a_wrong_value_in_a_file_is_told_with_file_and_key(
    text: str, wrong: str, repository: Path, refusal: Refusal
) -> None:
    write(repository, "local", text)
    assert refusal().startswith(f"conf/local.yaml:{wrong}")


def test_a_mistake_that_is_overridden_is_still_told(repository: Path, refusal: Refusal) -> None:
    write(repository, "local", "lease_seconds: soon")
    assert "got 'soon'" in refusal(sets=["lease_seconds=5"])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("lake: /l\n  engine: sail", "conf/local.yaml:2: not valid YAML: mapping values"),
        ("lake: [", "conf/local.yaml:2: not valid YAML: "),
        ("lake: /a\nengine: sail\nlake: /b", "conf/local.yaml:3: lake stands here twice"),
        ("- lake", "conf/local.yaml: expected a mapping of settings, got a list"),
        ("lake: \x07", "conf/local.yaml: not valid YAML: "),
    ],
)
def test_a_file_that_is_no_mapping_is_told_with_its_line(
    text: str, place: str, repository: Path, refusal: Refusal
) -> None:
    write(repository, "local", text)
    assert refusal().startswith(place)


def test_a_missing_base_and_a_file_that_is_no_text_are_told(repository: Path, refusal: Refusal) -> None:
    (repository / "conf" / "base.yaml").unlink()
    assert "conf/base.yaml: cannot be read: No such file" in refusal()
    (repository / "conf" / "base.yaml").write_bytes(b"\xff")
    assert "conf/base.yaml: cannot be read: it is not UTF-8 text" in refusal()


@pytest.mark.parametrize("target", ["othr", "base", "../conf/local", ""])
def test_an_unknown_target_is_answered_with_those_there_are(target: str, refusal: Refusal) -> None:
    message = refusal(target)
    assert message.startswith(f"--target: unknown target {target!r}")
    assert "(conf/*.yaml has local, other)" in message
    assert ("did you mean other?" in message) == (target == "othr")
    environ = {"LAKEHOUSE_TARGET": target}
    assert refusal(environ=environ).startswith("environment variable LAKEHOUSE_TARGET: unknown")


def test_spark_configuration_has_no_environment_variable(refusal: Refusal) -> None:
    message = refusal(environ={"LAKEHOUSE_SPARK__EXECUTOR__MEMORY": "4g"})
    assert message.endswith("use --set spark.KEY=VALUE instead")


# Secrets

SECRETS = [
    ("aws_secret_access_key: hunter2", "aws_secret_access_key"),
    ("s3: {access_key: hunter2}", "s3.access_key"),
    ("s3: {endpoint: 'http://ada:hunter2@host'}", "s3.endpoint"),
    ("db: {password: hunter2}", "db"),
    ("spark: {spark.hadoop.fs.s3a.secret.key: hunter2}", "spark.hadoop.fs.s3a.secret.key"),
    ("spark: {spark.hadoop.fs.s3a.access.key: hunter2}", "spark.hadoop.fs.s3a.access.key"),
    ("spark: {spark.authToken: hunter2}", "spark.authToken"),
    ("spark: {hadoop.secret.key: hunter2}", "hadoop.secret.key"),
    ("spark.ssl.keyPassword: hunter2", "spark.ssl.keyPassword"),
    (f"spark: {{spark.x: 'hunter2 {KEY_ID}'}}", "spark.x"),
    ("spark: {spark.x: '-----BEGIN RSA PRIVATE KEY hunter2'}", "spark.x"),
    ("song_data: s3://ada:hunter2@bucket", "song_data"),
]


@pytest.mark.parametrize(("text", "key"), SECRETS)
def test_a_secret_in_a_conf_file_is_refused_and_never_printed(
    text: str, key: str, repository: Path, refusal: Refusal
) -> None:
    write(repository, "local", text)
    message = refusal()
    assert message.startswith(f"conf/local.yaml:{key}: looks like a secret")
    assert "standard credential chain" in message
    assert "hunter2" not in message
    assert KEY_ID not in message


def test_a_secret_in_a_comment_is_refused_with_its_line(repository: Path, refusal: Refusal) -> None:
    write(repository, "local", f"engine: sail\n# was {KEY_ID}")
    message = refusal()
    assert message.startswith("conf/local.yaml:2: the comment looks like a secret")
    assert KEY_ID not in message


@pytest.mark.parametrize(
    "item",
    ["s3.secret_key=hunter2", "spark.password=hunter2", "lake=s3://a:hunter2@b", "token:hunter2"],
)
def test_a_secret_on_the_command_line_is_refused_and_never_printed(item: str, refusal: Refusal) -> None:
    message = refusal(sets=[item])
    assert message.startswith("--set")
    assert "hunter2" not in message


def test_a_secret_in_the_environment_is_not_printed_either(refusal: Refusal) -> None:
    message = refusal(
        environ={
            "LAKEHOUSE_PASSWORD": "hunter2",
            "LAKEHOUSE_LAKE": "postgresql://ada:hunter2@host/db",
        }
    )
    assert "LAKEHOUSE_PASSWORD: unknown" in message
    assert "hunter2" not in message


def test_the_class_that_finds_credentials_may_be_named(load: Load) -> None:
    key = "spark.hadoop.fs.s3a.aws.credentials.provider"
    assert load(sets=[f"{key}=org.example.Provider"]).spark == {key: "org.example.Provider"}


# Engines


def test_under_spark_submit_the_default_engine_is_spark(repository: Path, load: Load) -> None:
    write(repository, "base", "lake: /l\nengine: sail")
    assert load(submitted=False).engine == "sail"
    assert load(submitted=True).engine == "spark"
    assert load(environ={"PYSPARK_GATEWAY_PORT": "44163"}).origin["engine"] == "spark-submit"


def test_under_spark_submit_an_explicit_sail_is_refused(repository: Path, refusal: Refusal) -> None:
    wrong = "sail cannot run under spark-submit"
    environ = {"LAKEHOUSE_ENGINE": "sail"}
    assert f"--engine: {wrong}" in refusal(flags={"engine": "sail"}, submitted=True)
    assert f"--set engine: {wrong}" in refusal(sets=["engine=sail"], submitted=True)
    assert f"LAKEHOUSE_ENGINE: {wrong}" in refusal(environ=environ, submitted=True)
    write(repository, "local", "engine: sail")
    assert f"conf/local.yaml:engine: {wrong}" in refusal(submitted=True)


def test_under_spark_submit_a_flag_may_override_the_sail_of_a_target(repository: Path, load: Load) -> None:
    write(repository, "local", "engine: sail")
    assert load(flags={"engine": "spark"}, submitted=True).engine == "spark"


def test_spark_submit_is_known_by_the_variable_of_its_python_runner() -> None:
    assert under_spark_submit({"PYSPARK_GATEWAY_PORT": "44163", "SPARK_ENV_LOADED": "1"})
    assert not under_spark_submit({"SPARK_HOME": "/opt/spark", "SPARK_ENV_LOADED": "1"})


# Sources


def test_sources_are_looked_for_only_when_asked(load: Load, tmp_path: Path) -> None:
    (tmp_path / "data" / "song_data").mkdir(parents=True)
    settings = load(flags={"song_data": f"{tmp_path}/data/song_dta", "log_data": f"{tmp_path}/dat/log_data"})
    with pytest.raises(ConfigError) as caught:
        check_sources(settings)
    assert str(caught.value) == (
        "2 settings are wrong:"
        f"\n  - --song-data: {tmp_path}/data/song_dta does not exist; "
        f"did you mean {tmp_path}/data/song_data?"
        f"\n  - --log-data: {tmp_path}/dat/log_data does not exist; did you mean {tmp_path}/data?"
    )


def test_sources_that_exist_are_null_or_on_s3_pass(load: Load, tmp_path: Path) -> None:
    check_sources(load())
    check_sources(load(flags={"song_data": str(tmp_path / "here"), "log_data": "s3://b/logs"}))


def test_a_missing_sample_is_answered_with_the_command_that_makes_it(repository: Path, load: Load) -> None:
    write(repository, "local", "song_data: data/sample/song_data")
    with pytest.raises(ConfigError, match=r"lakehouse\.py sample --out .*/repo/data/sample$"):
        check_sources(load())


# Cost


@pytest.mark.process
def test_loading_needs_no_engine() -> None:
    code = (
        "import sys; import runtime.settings.load as s; s.load_settings(environ={});"
        "print(*{'pyspark', 'pysail', 'duckdb', 'deltalake', 'pyarrow'} & set(sys.modules))"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, cwd=CONF.parent, capture_output=True, text=True, check=True).stdout == "\n"
