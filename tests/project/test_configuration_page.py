"""docs/configuration.md: its table is the model's, and what it gives as examples is accepted."""

from __future__ import annotations

import pytest

from docs.settings import EXAMPLES, HEADER, base, rows
from runtime.settings.load import load_settings
from runtime.settings.model import KEYS

ROWS = {row[0].strip("`"): dict(zip(HEADER, row, strict=True)) for row in rows()}


def test_every_setting_has_a_row_a_default_and_a_meaning() -> None:
    defaults, meanings = base()
    assert set(ROWS) == {*KEYS, "spark.*"}
    assert all(defaults[key] and meanings[key] for key in KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_an_example_is_accepted_by_set_and_in_the_environment(key: str) -> None:
    variable, example = (ROWS[key][name].strip("`") for name in ("environment variable", "for example"))
    by_set = load_settings(sets=[f"{key}={example}"], environ={})
    by_variable = load_settings(environ={variable: example})
    assert by_set.origin[key] == f"--set {key}"
    assert by_variable.origin[key] == f"environment variable {variable}"
    assert by_set.model_dump() == by_variable.model_dump() != load_settings(environ={}).model_dump()


def test_spark_configuration_is_accepted_as_the_page_says() -> None:
    setting = ROWS["spark.*"]["environment variable"].partition("--set ")[2].strip("`")
    key, _, value = setting.partition("=")
    assert load_settings(sets=[setting], environ={}).spark[key] == value
    assert ROWS["spark.*"]["for example"] == f"`{key}: {value}`"


@pytest.mark.parametrize(
    ("key", "type_"),
    [
        ("lake", "location"),
        ("song_data", "location, or null"),
        ("engine", "sail or spark"),
        ("batch_bytes", "size, or null"),
        ("max_record_bytes", "size"),
        ("lease_seconds", "integer from 1"),
        ("compact_after", "integer from 0, or null"),
        ("s3.anonymous", "true or false"),
    ],
)
def test_types_are_told_with_their_bounds(key: str, type_: str) -> None:
    assert ROWS[key]["type"] == type_
    assert key in EXAMPLES
