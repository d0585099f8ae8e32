"""What an installer, a linter and a newcomer rely on: pins, reasons and verbs."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from itertools import chain, product

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.checkout import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

VERBS = {
    "help", "setup", "demo", "cluster-demo", "quick", "test", "test-all", "check", "bench", "bench-large",
    "notebook", "dist", "lock", "clean",
}  # fmt: skip
NEED_NO_ENVIRONMENT = {"help", "clean"}


def declared_dependencies() -> list[str]:
    project = tomllib.loads(PYPROJECT)["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    return [*project["dependencies"], *extras]


def pinned_versions() -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def verbs_with_prerequisites() -> dict[str, str]:
    return dict(re.findall(r"^([a-z-]+):(.*?)## ", MAKEFILE, flags=re.MULTILINE))


def lines_of_arrays(*names: str) -> list[str]:
    """The lines of pyproject.toml inside the arrays with these keys, one element a line."""
    keys = "|".join(re.escape(name) for name in names)
    bodies = re.findall(rf"^(?:{keys}) = \[\n(.*?)^\]", PYPROJECT, flags=re.MULTILINE | re.DOTALL)
    return [line for body in bodies for line in body.splitlines()]


def section(name: str) -> list[str]:
    body = PYPROJECT.split(f"[{name}]\n", maxsplit=1)[1].split("\n[", maxsplit=1)[0]
    return [line for line in body.splitlines() if line]


def has_reason(line: str) -> bool:
    return re.search(r"# \S", line) is not None


@pytest.mark.parametrize("dependency", declared_dependencies())
def test_the_lock_pins_every_dependency_to_a_version_it_allows(dependency: str) -> None:
    requirement = Requirement(dependency)
    version = pinned_versions().get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is not in requirements.lock: run make lock"
    assert requirement.specifier.contains(version)


def test_every_pinned_version_runs_on_the_oldest_python_we_promise() -> None:
    oldest = tomllib.loads(PYPROJECT)["project"]["requires-python"].removeprefix(">=") + ".0"
    installed = [d for d in distributions() if canonicalize_name(d.name) in pinned_versions()]
    needed = {d.name: str(d.metadata.json.get("requires_python", "")) for d in installed}
    assert {n: p for n, p in needed.items() if not SpecifierSet(p).contains(oldest)} == {}


def test_the_lock_names_no_index_and_no_place_on_the_machine_that_made_it() -> None:
    foreign = re.findall(r"^.*(?:--|://| /).*$", LOCK, flags=re.MULTILINE)
    assert foreign == []


def test_every_dependency_has_its_reason_beside_it() -> None:
    lines = lines_of_arrays("dependencies", "aws", "notebook", "report", "postgres", "dev")
    assert len(lines) == len(declared_dependencies())
    assert [line for line in lines if not has_reason(line)] == []


def test_every_ignored_rule_and_warning_has_its_reason_beside_it() -> None:
    ignores = lines_of_arrays("ignore", "filterwarnings")
    ignores += section("tool.ruff.lint.per-file-ignores")
    ignores += re.findall(r"^module = .*$", PYPROJECT, flags=re.MULTILINE)
    assert '    "error",' in ignores
    assert [line for line in ignores if line != '    "error",' and not has_reason(line)] == []


@pytest.mark.process
def test_make_help_lists_every_verb() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\S+)", shown.stdout, flags=re.MULTILINE)) == VERBS


def test_every_verb_that_needs_the_environment_makes_it_first() -> None:
    verbs = verbs_with_prerequisites()
    assert set(verbs) == VERBS
    without = {verb for verb, prerequisites in verbs.items() if "$(READY)" not in prerequisites}
    assert without == NEED_NO_ENVIRONMENT


def test_every_verb_that_the_documentation_names_is_one_of_the_makefile() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text)) <= VERBS


def selected(*words: str) -> dict[str, str]:
    """By engine, the expression of markers that a verb of make gives to pytest."""
    own = {"PATH": os.environ["PATH"]}  # without the variables of a make that runs this test
    shown = subprocess.run(
        ["make", "-n", *words], cwd=ROOT, env=own, capture_output=True, text=True, check=True
    )
    return dict(re.findall(r'--engine (\w+)[^"\n]*-m "([^"]+)"', shown.stdout))


@pytest.mark.parametrize("engine", ["sail", "spark"])
@pytest.mark.process
def test_make_test_and_make_test_all_run_every_test_once_and_ci_leaves_out_the_slow(engine: str) -> None:
    test, rest, rest_in_ci = (selected(*w)[engine] for w in (["test"], ["test-all"], ["test-all", "SLOW=no"]))
    for values in product((False, True), repeat=4):
        marked = dict(zip(("essential", "long", "long_on_spark", "slow"), values, strict=True)) | {
            "engine": True
        }
        runs, runs_later, runs_in_ci = (eval(e, {}, marked) for e in (test, rest, rest_in_ci))
        assert runs is not runs_later
        left_out = marked["slow"] or (engine == "spark" and marked["long_on_spark"])
        assert (runs or runs_in_ci) is not left_out


@pytest.mark.process
def test_the_console_script_is_the_command_line() -> None:
    module, _, function = tomllib.loads(PYPROJECT)["project"]["scripts"]["lakehouse"].partition(":")
    code = f"import sys, {module}; sys.argv[1:] = ['--version']; {module}.{function}()"
    started = ([sys.executable, "-c", code], [sys.executable, "lakehouse.py", "--version"])
    script, program = (subprocess.run(w, cwd=ROOT, capture_output=True, text=True) for w in started)
    assert (script.returncode, script.stdout) == (0, program.stdout)
    assert script.stdout
