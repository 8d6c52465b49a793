"""Studies by file or by shipped name, in one of their profiles, with changes by path on top."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources as files
from pathlib import Path
from typing import Any

from resnet_space import Architecture, documents, paths
from resnet_space.api.kinds import KINDS
from resnet_space.errors import InputError, unknown
from search.trials.study import Study

SHIPPED = files.files("ablations") / "studies"


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml"))


def load(source: str, *, profile: str | None = None, changes: Mapping[str, Any] | None = None) -> Study:
    """A study by file or shipped name.

    `profiles` are forms of the same study (laptop, paper): fields that replace the study's, but for those of its kind's
    `MERGED`, which are merged; the first one holds unless another is asked for. A path is a field of the study
    (`recipe.lr`, `seeds`) or, failing that, of every network (`unit.order`, `width`).

    Raises:
        InputError: file, path, value, what is allowed, nearest name.
    """
    is_file = source.endswith((".yaml", ".yml", ".json")) or "/" in source
    if not is_file and source not in shipped():
        raise InputError(f"{unknown('study', source, shipped())}; or a file that ends in .yaml")
    name = source if is_file else str(SHIPPED / f"{source}.yaml")
    data = documents.read(Path(name))
    kind = _kind(data, name)
    data = _in_profile(data, profile, kind, name)
    of_study: dict[str, Any] = {}
    for given, value in (changes or {}).items():
        path = kind.ALIASES.get(given, given)
        if path.split(".")[0] in kind.model_fields:
            of_study[path] = value
        else:
            _check_head(path, kind)
            # Not by path: a path is itself the name of such a field.
            _at(data, kind.CHANGES)[path] = value
    return kind.of(paths.assign(_plain_recipe(data), of_study), source=name)


def of(data: Any, *, source: str = "") -> Study:
    """A study from plain data, as `to_dict` gives it.

    Raises:
        InputError: path, value, what is allowed, nearest name.
    """
    return _kind(data, source).of(data, source=source)


def _kind(data: Any, source: str) -> type[Study]:
    if not isinstance(data, dict):
        raise InputError(f"{source}: a study is a mapping of fields")
    kind = data.get("kind", next(iter(KINDS)))
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown("kind", kind, KINDS, path=f"{source}: kind")
    return KINDS[kind].study.load()


def _at(data: dict[str, Any], path: str) -> dict[str, Any]:
    """The mapping at a path of plain data, made where it is not there; what is above it is made anew."""
    for part in path.split("."):
        data[part] = dict(_mapping(data.get(part) or {}, path))
        data = data[part]
    return data


def _check_head(path: str, kind: type[Study]) -> None:
    allowed = [*Architecture.model_fields, "width"]
    if path.split(".")[0] not in allowed:
        raise unknown("field", path, [*kind.model_fields, *allowed], path="--set")


def _plain_recipe(data: dict[str, Any]) -> dict[str, Any]:
    """With the recipe as a mapping, so that a path can lead into it; the data set likewise."""
    from search.trials.recipe import resolve_recipe

    recipe, images = data.get("recipe"), data.get("data")
    return {
        **data,
        **({"recipe": resolve_recipe(recipe)} if recipe is not None else {}),
        **({"data": {"name": images}} if isinstance(images, str) else {}),
    }


def _in_profile(data: dict[str, Any], profile: str | None, kind: type[Study], name: str) -> dict[str, Any]:
    profiles = data.pop("profiles", None) or {}
    if not isinstance(profiles, dict) or not all(isinstance(form, dict) for form in profiles.values()):
        raise InputError(f"{name}: profiles: must map names to fields")
    if profile is not None and profile not in profiles:
        raise unknown("profile", profile, profiles, path=name)
    chosen = profiles.get(profile or next(iter(profiles), ""), {})
    own = f"{name}: profiles.{profile or next(iter(profiles), '')}"
    merged = {
        field: {**_mapping(data[field], f"{name}: {field}"), **_mapping(value, f"{own}.{field}")}
        if field in kind.MERGED and field in data
        else value
        for field, value in chosen.items()
    }
    return {**data, **merged}


def _mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: must be a mapping, not {value!r}")
    return value
