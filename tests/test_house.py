"""Rules that no linter checks: imports, dependencies, sizes of modules, and texts that no file may contain."""

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
from pieces import SECONDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("resnet_space", "search", "ablations", "reports")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Packages imported in one module or one small package each, so that their changes affect one place.
ONE_PLACE = {
    "ray": "search/running/ray/",
    "optuna": "search/samplers/optuna_sampler.py",
    "fvcore": "resnet_space/counter.py",
    "timm": "search/training/optimizers.py",
}
# Packages installed and pinned as a part of another package.
PART_OF = {"pydantic_core": "pydantic"}
# Slow packages that these imports must not load, so that the first output comes quickly.
LIGHT = {
    "resnet_space": ("torch", "ray"),
    "resnet_space.cli": ("torch", "ray", "pandas", "sqlalchemy", "pydantic"),
    "resnet_space.testing": ("torch", "ray", "pytest"),
    "search.testing": ("torch", "ray", "pytest"),
}
# Joined here, so that this file does not contain the names it searches for.
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
HOME_FOLDER = re.compile(r"(?<![\w.$}/-])/(?:home|Users|root|work)/\w")
LEFT_BY_TOOLS = {".git", ".venv", "build", "dist", "runs", "__pycache__"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Return the top-level names of all imports of a module, also inside functions, without relative imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def own_files() -> list[Path]:
    """Return every file of the project by git; without git, all except those left by tools."""
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
    own = PROJECT["project"]["name"]  # an extra can include another
    return {canonicalize_name(each.name): each for each in requirements if each.name != own}


def runtime_requirements() -> dict[str, Requirement]:
    return declared([PROJECT["project"]["dependencies"]])


def extra_requirements() -> dict[str, Requirement]:
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
        for package in sorted(imported(path) - set(sys.stdlib_module_names) - set(PACKAGES))
        if not {canonicalize_name(dist) for dist in providers.get(PART_OF.get(package, package), [])}
        & set(runtime_requirements())
    ]
    assert undeclared == []


def test_every_dependency_has_its_line() -> None:
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| \S.* \| \S.* \|$", table, flags=re.MULTILINE)
    needed = runtime_requirements() | extra_requirements() | declared([PROJECT["build-system"]["requires"]])
    assert sorted(map(canonicalize_name, rows)) == sorted(needed)


def test_constraints_pin_every_dependency_within_its_bounds() -> None:
    pinned = pins()
    outside = [
        str(requirement)
        for package, requirement in (runtime_requirements() | extra_requirements()).items()
        if not requirement.specifier.contains(pinned.get(package, "0"))
    ]
    assert outside == []


def test_packages_are_marked_as_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []


def test_every_test_in_the_table_of_faults_exists() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| fault ")]
    assert len(rows) > 15
    assert [row for row in rows if "::test_" not in row] == [], "a promise needs a test"
    found = {
        path: {
            node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)
        }
        for path, _ in named
    }
    assert [f"{path}::{test}" for path, test in named if test not in found[path]] == []


def test_every_file_whose_seconds_were_measured_exists() -> None:
    assert [file for file in SECONDS if not (ROOT / "tests" / file).is_file()] == []


def test_modules_are_under_400_lines() -> None:
    paths = [*MODULES, *(ROOT / "tests").rglob("*.py")]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: lines for path, lines in lengths.items() if lines >= 400} == {}


def test_no_file_names_a_registry_or_a_home_folder() -> None:
    found = []
    for path in own_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{name(path)}: {host}" for host in REGISTRIES if host in text]
        found += [f"{name(path)}: {match.group()}" for match in HOME_FOLDER.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", [path for path in MODULES if ">>> " in path.read_text("utf-8")], ids=name)
def test_examples_in_docstrings_hold(path: Path) -> None:
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    outcome = doctest.testmod(importlib.import_module(dotted))
    assert outcome.attempted > 0
    assert outcome.failed == 0
