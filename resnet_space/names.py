"""The package's four names, which are common words: no folder that a user works in may come before them.

Ray sends this module to the nodes by value, to ask there before anything of ours is imported: it uses the standard
library alone.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("resnet_space", "search", "ablations", "reports")

HOME = os.path.realpath(Path(__file__).parents[1])
"""The folder that our four packages are in."""


def own_first() -> None:
    """Take the working directory and the script's folder off the import path, here and of the processes begun from
    here, unless our packages are there. Python put them there, or an empty or relative entry of PYTHONPATH."""
    unwanted = {_whole("."), _whole(os.path.dirname(os.path.realpath(sys.argv[0])))} - {HOME}
    sys.path[:] = [entry for entry in sys.path if _whole(entry) not in unwanted]
    if given := os.environ.get("PYTHONPATH"):
        kept = [os.path.abspath(entry) for entry in given.split(os.pathsep) if _whole(entry) not in unwanted]
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def stranger(home: str | None = HOME) -> str:
    """Which package of another comes first under one of the four names, from where, and what to do; "" if none does.

    Without `home`, ours are in the first folder of the path that has all four.
    """
    home = home or next((entry for entry in sys.path if _together(entry)), None)
    if home is None:
        return "" if find_spec(PACKAGES[0]) else "resnet-space is not installed"
    for name in PACKAGES:
        found = _place(name)
        if found and (folder := os.path.dirname(found)) != os.path.realpath(home):
            paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            remedy = (
                f"rename it, or take {folder} out of PYTHONPATH"
                if folder in map(_whole, paths)
                else "rename or uninstall it, or have resnet-space in an environment of its own"
            )
            return f"{found} comes before {os.path.join(home, name)} of resnet-space under the name {name!r}; {remedy}"
    return ""


def _place(name: str) -> str:
    """The module's file or the package's folder that an import of a top-level name would take."""
    try:
        spec = find_spec(name)
    except ValueError:  # imported already, by who knows what
        return ""
    if spec is None or spec.origin is None:
        return ""
    return os.path.realpath(os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin)


def _together(entry: str) -> bool:
    """Whether all four are in a folder, as packages and not as folders that happen to be called so."""
    return all((spec := PathFinder.find_spec(name, [entry])) and _regular(spec.origin) for name in PACKAGES)


def _regular(origin: str | None) -> bool:
    return origin is not None and os.path.basename(origin).startswith("__init__.")


def _whole(entry: str) -> str:
    """An entry of the path in full, without links. Of a working directory that was removed: the entry as it is."""
    try:
        return os.path.realpath(entry or ".")
    except OSError:
        return entry
