"""The rules of the house that no linter knows: who may import what, and what no file may contain."""

import ast
import doctest
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("resnet_space", "search", "ablations", "reports")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Imported in one module or one small package each, so that a change of theirs is met in one place.
ONE_PLACE = {
    "ray": "search/running/ray/",
    "optuna": "search/samplers/optuna_sampler.py",
    "fvcore": "resnet_space/counter.py",
}
# Imported by a name of its own, and installed and pinned by another.
PART_OF = {"pydantic_core": "pydantic"}
# What a person waits for before the first line of output.
LIGHT = {
    "resnet_space": ("torch", "ray"),
    "resnet_space.cli": ("torch", "ray", "pandas", "sqlalchemy", "pydantic"),
}
# Put together here, so that this file does not contain what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("deb", "debian", "org"),
        ("conda", "anaconda", "org"),
        ("download", "pytorch", "org"),
    )
]
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.$}/-])/(?:home|Users|root|work)/\w")
LEFT_BY_TOOLS = {".git", ".venv", "build", "dist", "runs", "__pycache__"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """The top-level names of all that a module imports, inside functions too, relative imports aside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def own_files() -> list[Path]:
    """Every file of the project: as git sees it, or all but what tools leave where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / line for line in listing.stdout.split("\0") if line]
    else:
        paths = [path for path in ROOT.rglob("*") if not LEFT_BY_TOOLS & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def declared(groups: list[list[str]]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for group in groups for line in group]
    own = PROJECT["project"]["name"]  # an extra may take in another
    return {canonicalize_name(each.name): each for each in requirements if each.name != own}


def to_use() -> dict[str, Requirement]:
    return declared([PROJECT["project"]["dependencies"]])


def to_work_on() -> dict[str, Requirement]:
    return declared(list(PROJECT["project"]["optional-dependencies"].values()))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


@pytest.mark.parametrize("module", LIGHT)
def test_import_stays_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({LIGHT[module]!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"import {module} loads {done.stdout.strip()}"


@pytest.mark.parametrize("package", ONE_PLACE)
def test_package_is_imported_in_one_place(package: str) -> None:
    importers = [name(path) for path in MODULES if package in imported(path)]
    assert [path for path in importers if not path.startswith(ONE_PLACE[package])] == []


def test_imports_are_declared_dependencies() -> None:
    providers = importlib.metadata.packages_distributions()
    undeclared = [
        f"{name(path)}: {package}"
        for path in MODULES
        for package in sorted(imported(path) - set(sys.stdlib_module_names) - set(ROOMS))
        if not {canonicalize_name(dist) for dist in providers.get(PART_OF.get(package, package), [])} & set(to_use())
    ]
    assert undeclared == []


def test_every_dependency_has_its_line() -> None:
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| \S.* \| \S.* \|$", table, flags=re.MULTILINE)
    needed = to_use() | to_work_on() | declared([PROJECT["build-system"]["requires"]])
    assert sorted(map(canonicalize_name, rows)) == sorted(needed)


def test_constraints_pin_every_dependency_within_its_bounds() -> None:
    pinned = pins()
    outside = [
        str(requirement)
        for package, requirement in (to_use() | to_work_on()).items()
        if not requirement.specifier.contains(pinned.get(package, "0"))
    ]
    assert outside == []


def test_rooms_say_that_they_are_typed() -> None:
    assert [room for room in ROOMS if not (ROOT / room / "py.typed").is_file()] == []


def test_every_test_in_the_table_of_faults_exists() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| fault ")]
    assert len(rows) > 15
    assert [row for row in rows if "::test_" not in row] == [], "a promise without a test is none"
    found = {
        path: {
            node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)
        }
        for path, _ in named
    }
    assert [f"{path}::{test}" for path, test in named if test not in found[path]] == []


def test_modules_are_under_400_lines() -> None:
    paths = [*MODULES, *(ROOT / "tests").rglob("*.py")]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: lines for path, lines in lengths.items() if lines >= 400} == {}


def test_no_file_names_a_registry_or_somebodys_folder() -> None:
    found = []
    for path in own_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{name(path)}: {host}" for host in REGISTRIES if host in text]
        found += [f"{name(path)}: {match.group()}" for match in SOMEBODYS_FOLDER.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", [path for path in MODULES if ">>> " in path.read_text("utf-8")], ids=name)
def test_examples_in_docstrings_hold(path: Path) -> None:
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    outcome = doctest.testmod(importlib.import_module(dotted))
    assert outcome.attempted > 0
    assert outcome.failed == 0
