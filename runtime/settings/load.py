"""The settings of one invocation: frozen, validated, every problem reported at once.

Precedence: flag > --set > LAKEHOUSE_* environment > conf/<target>.yaml > conf/base.yaml.
conf/base.yaml documents each setting.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runtime.errors import ConfigError
from runtime.settings.layers import (
    Flag,
    Given,
    from_environment,
    from_file,
    from_flags,
    from_sets,
    option,
    targets,
    unknown,
)
from runtime.settings.model import KEYS, S3, Settings, nested, wrong_value
from runtime.settings.paths import misplaced, missing, resolved
from runtime.settings.secrets import ADVICE, holds_secret, looks_secret, shown
from runtime.text.nearest import nearest

__all__ = ["CONF", "S3", "Settings", "check_sources", "load_settings", "under_spark_submit"]

CONF = Path(__file__).resolve().parents[2] / "conf"
SOURCES = ("song_data", "log_data")
LOCATIONS = ("lake", *SOURCES, "log_json_paths")


def load_settings(
    target: str | None = None,
    *,
    flags: Mapping[str, Flag] = {},
    sets: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    conf: Path = CONF,
    under_spark_submit: bool | None = None,
) -> Settings:
    """Load the settings of a target, with all overrides applied.

    `flags` maps lake, song_data, log_data and engine to values (None: flag not used); `sets` are texts
    `key=value`. Relative paths in conf files are relative to the parent of `conf`, all others to the
    working directory. Raises ConfigError with every problem; starts no engine.
    """
    problems: list[str] = []
    submitted = _submitted(under_spark_submit, environ)
    chosen = _target(target, environ, conf, problems)
    given = [
        *from_file(conf / "base.yaml", problems),
        *(from_file(conf / f"{chosen}.yaml", problems) if chosen else ()),
        *from_environment(environ, problems),
        *from_sets(sets, problems),
        *from_flags(flags, problems),
    ]
    root = conf.resolve().parent
    winners = {good.key: good for one in given for good in _accepted(one, root, problems)}
    problems += _contradictions(given, winners, root, submitted)
    if problems:
        # A missing source of a flag or variable is reported with the other problems. As the only problem
        # it concerns just the commands that read sources: see check_sources.
        here = {k: winners[k] for k in SOURCES if k in winners and not winners[k].in_file}
        problems += _missing({key: (one.value, one.where) for key, one in here.items()})
    _raise_any(problems)
    return _settings(chosen, winners, submitted)


def check_sources(settings: Settings) -> None:
    """Raise ConfigError for local sources that do not exist; a null source is skipped."""
    _raise_any(_missing({k: (getattr(settings, k), settings.origin.get(k, option(k))) for k in SOURCES}))


def _missing(sources: Mapping[str, tuple[object, str]]) -> list[str]:
    """One message per local source that does not exist; values are (location, place that sets it)."""
    problems = []
    for key, (location, origin) in sources.items():
        wrong = missing(str(location)) if location is not None else None
        if wrong:
            # Only the sources of conf/local.yaml can be replaced by generated data.
            sample = f"python lakehouse.py sample --out {Path(str(location)).parent}"
            advice = f"; make it with: {sample}" if origin == f"conf/local.yaml:{key}" else ""
            problems.append(f"{origin}: {wrong}{advice}")
    return problems


def under_spark_submit(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether spark-submit started this Python.

    Only spark-submit's PythonRunner sets this variable, for the JVM that it keeps. SPARK_ENV_LOADED is
    weaker evidence: Spark's shell scripts set it for every process below them.
    """
    return "PYSPARK_GATEWAY_PORT" in environ


def _submitted(chosen: bool | None, environ: Mapping[str, str]) -> bool:
    return under_spark_submit(environ) if chosen is None else chosen


def _target(target: str | None, environ: Mapping[str, str], conf: Path, problems: list[str]) -> str | None:
    where = "environment variable LAKEHOUSE_TARGET" if target is None else "--target"
    chosen = environ.get("LAKEHOUSE_TARGET", "local") if target is None else target
    names = targets(conf)
    if chosen in names:
        return chosen
    problems.append(
        f"{where}: unknown target {shown(chosen)}{nearest(chosen, names)} "
        f"({conf.name}/*.yaml has {', '.join(names) or 'none'})"
    )
    return None


def _accepted(given: Given, root: Path, problems: list[str]) -> Iterator[Given]:
    """Yield the value with locations resolved, or add its problem to `problems`."""
    wrong = _wrong(given)
    if wrong:
        problems.append(wrong)
    elif given.key in LOCATIONS and isinstance(given.value, str):
        yield from _located(given, given.value, root, problems)
    else:
        yield given


def _wrong(given: Given) -> str | None:
    if given.key == "lake" and given.value is None and given.in_file:
        return None  # null overrides base.yaml: the user must then name the lake for each run
    # Environment variables may have a secret's name, but no value may be a secret, because it is displayed.
    is_secret = (
        holds_secret(given.value) if given.layer == "environment" else looks_secret(given.key, given.value)
    )
    if is_secret:
        return f"{given.where}: {ADVICE}"
    return unknown(given, KEYS) or wrong_value(given)


def _located(given: Given, location: str, root: Path, problems: list[str]) -> Iterator[Given]:
    try:
        place = resolved(location, root if given.in_file else Path())
        yield replace(given, value=place)
    except ValueError as error:
        problems.append(f"{given.where}: {error}")


def _contradictions(
    given: Sequence[Given], winners: Mapping[str, Given], root: Path, submitted: bool
) -> Iterator[str]:
    engine, lake = winners.get("engine"), winners.get("lake")
    latest = next((one for one in reversed(given) if one.key == "lake"), None)  # even when it is invalid
    if submitted and engine and engine.value == "sail" and engine.layer != "base":
        yield (
            f"{engine.where}: sail cannot run under spark-submit; leave the engine out there, "
            "or start with python lakehouse.py"
        )
    if lake and lake.value is not None:
        sources = {key: winners[key].value for key in SOURCES if key in winners}
        texts = {key: value for key, value in sources.items() if isinstance(value, str)}
        yield from (f"{lake.where}: {wrong}" for wrong in misplaced(str(lake.value), texts, root))
    elif latest is None or latest.value is None:
        where = latest.where if latest else "lake"
        yield f"{where}: none is given; say where the lake is with --lake or LAKEHOUSE_LAKE"


def _settings(target: str | None, winners: Mapping[str, Given], submitted: bool) -> Settings:
    values = nested(winners.values())
    origin = {key: one.where for key, one in winners.items()}
    if submitted and ("engine" not in winners or winners["engine"].layer == "base"):
        values["engine"], origin["engine"] = "spark", "spark-submit"
    return Settings.model_validate({**values, "target": target, "origin": origin})


def _raise_any(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise ConfigError(problems[0])
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise ConfigError(f"{len(problems)} settings are wrong:{listed}")
