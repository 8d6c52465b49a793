"""Simulate a machine with torch and few other packages, like some GPU machines, in this process and those it starts."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

MISSING = (
    "boto3",
    "botocore",
    "flask",
    "hypothesis",
    "jsonschema",
    "matplotlib",
    "moto",
    "onnx",
    "optuna",
    "psycopg",
    "pyarrow",
    "pytest_timeout",
    "ray",
    "scipy",
    "sklearn",
    "statsmodels",
    "typer",
    "xdist",
)
"""Packages that are installed for development but missing on such a machine."""


def environment(folder: Path, *more: str) -> dict[str, str]:
    """Return environment variables that simulate such a machine; `more` are further missing packages."""
    (folder / "sitecustomize.py").write_text(f"import bare\nbare.install({more!r})\n")
    paths = [str(folder), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    left_out = {"RESNET_SPACE_ALL", "COV_CORE_SOURCE"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "PYTHONPATH": os.pathsep.join(paths)
    }


def install(more: tuple[str, ...] = ()) -> None:
    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder((*MISSING, *more))
    found = importlib.metadata.version

    def version(distribution_name: str) -> str:
        if distribution_name == "resnet-space":
            raise importlib.metadata.PackageNotFoundError(distribution_name)
        return found(distribution_name)

    importlib.metadata.version = version


class Finder:
    """Python's own finder, except that it does not find these packages."""

    find_distributions = staticmethod(PathFinder.find_distributions)
    invalidate_caches = staticmethod(PathFinder.invalidate_caches)

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self.packages else PathFinder.find_spec(name, path, target)
