"""Import safety: the four packages have common names, and no file of the user may be imported in their place.

Ray sends this module to the nodes by value and runs it there before any of the four packages is imported. It therefore
uses only the standard library.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("resnet_space", "search", "ablations", "reports")

HOME = os.path.realpath(Path(__file__).parents[1])
"""The folder that contains the four packages."""


def put_own_packages_first() -> None:
    """Remove the working directory and the script's folder from the import path, unless the packages are there.

    This applies to this process and its children. Python itself adds these folders, or an empty or relative entry of
    PYTHONPATH does.
    """
    unwanted = {_real_path("."), _real_path(os.path.dirname(os.path.realpath(sys.argv[0])))} - {HOME}
    sys.path[:] = [entry for entry in sys.path if _real_path(entry) not in unwanted]
    if given := os.environ.get("PYTHONPATH"):
        kept = [os.path.abspath(entry) for entry in given.split(os.pathsep) if _real_path(entry) not in unwanted]
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def find_shadowing_package(home: str | None = HOME) -> str:
    """Return an error message if another package is imported under one of the four names, else "".

    The message has the path of the other package and the remedy. Without `home`, the first folder of the import path
    that contains all four packages is taken as theirs.
    """
    home = home or next((entry for entry in sys.path if _has_all_packages(entry)), None)
    if home is None:
        return "" if find_spec(PACKAGES[0]) else "resnet-space is not installed"
    for name in PACKAGES:
        found = _import_location(name)
        if found and (folder := os.path.dirname(found)) != os.path.realpath(home):
            paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            remedy = (
                f"rename it, or take {folder} out of PYTHONPATH"
                if folder in map(_real_path, paths)
                else "rename or uninstall it, or install resnet-space in an environment of its own"
            )
            return f"{found} comes before {os.path.join(home, name)} of resnet-space under the name {name!r}; {remedy}"
    return ""


def _import_location(name: str) -> str:
    """The path that an import of a top-level name would load: a module's file or a package's folder; "" if none."""
    try:
        spec = find_spec(name)
    except ValueError:  # already imported, without a spec
        return ""
    if spec is None or spec.origin is None:
        return ""
    return os.path.realpath(os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin)


def _has_all_packages(entry: str) -> bool:
    """Whether a folder contains all four packages, each with an `__init__` file."""
    return all((spec := PathFinder.find_spec(name, [entry])) and _is_regular_package(spec.origin) for name in PACKAGES)


def _is_regular_package(origin: str | None) -> bool:
    return origin is not None and os.path.basename(origin).startswith("__init__.")


def _real_path(entry: str) -> str:
    """An entry of the import path as a real absolute path; unchanged if the working directory was removed."""
    try:
        return os.path.realpath(entry or ".")
    except OSError:
        return entry
