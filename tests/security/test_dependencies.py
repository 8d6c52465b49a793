"""What is installed is what was tested, as far as that is known without a network."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = "resnet-space"


def installed() -> dict[str, metadata.Distribution]:
    """Distributions by their canonical names."""
    return {canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions()}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_requirement_of_every_package_is_met() -> None:
    there = installed()
    unmet = []
    for name, package in there.items():
        for text in package.requires or []:
            asked = Requirement(text)
            # Of extras nobody asked for, but of our own: those the tests need.
            if asked.marker and not asked.marker.evaluate({"extra": "dev" if name == OURS else ""}):
                continue
            found = there.get(canonicalize_name(asked.name))
            if found is None or not asked.specifier.contains(found.version, prereleases=True):
                unmet.append(f"{name} asks for {asked}, and {found.version if found else 'none'} is there")
    assert unmet == []


def test_what_is_installed_is_what_is_pinned() -> None:
    there, pins = installed(), pinned()
    other = {
        name: (there[name].version.partition("+")[0], version)
        for name, version in pins.items()
        if name in there and there[name].version.partition("+")[0] != version.partition("+")[0]
    }
    assert other == {}
