"""Load studies by file or by shipped name, in one of their profiles, with changes by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources as files
from pathlib import Path
from typing import Any

from resnet_space import Architecture, documents, paths
from resnet_space.api.kinds import KINDS
from resnet_space.errors import InputError, unknown
from search.trials.study import Study

SHIPPED = files.files("ablations") / "studies"


def shipped() -> list[str]:
    """The names of the studies that are shipped with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml"))


def load(source: str, *, profile: str | None = None, changes: Mapping[str, Any] | None = None) -> Study:
    """Return a study by file or shipped name.

    `include` names another study, shipped or by file, whose fields are those of this one unless it has its own.
    `profiles` are variants of the study, such as laptop and paper. The fields of a profile replace those of the study,
    except that the fields in its kind's `MERGED` are merged, as with `include`. Default: the first profile. A path in
    `changes` is a field of the study (`recipe.lr`, `seeds`); if the study has no such field, it is a field of every
    network (`unit.order`, `width`).

    Raises:
        InputError: the study is wrong; the message has file, path, value, allowed values and nearest name.
    """
    name = _file(source)
    return load_data(documents.read(Path(name)), profile=profile, changes=changes, name=name)


def _file(source: str, folder: Path | None = None) -> str:
    """Return the file of a study: of a shipped one by name, or the source, relative to a folder.

    Raises:
        InputError: there is no shipped study of this name.
    """
    if source.endswith((".yaml", ".yml", ".json")) or "/" in source:
        return str((folder or Path()) / source)
    if source not in shipped():
        raise InputError(f"{unknown('study', source, shipped())}; or give a file that ends in .yaml")
    return str(SHIPPED / f"{source}.yaml")


def load_data(
    data: Any, *, profile: str | None = None, changes: Mapping[str, Any] | None = None, name: str = "study"
) -> Study:
    """Return a study from the data of its file, in one of its profiles, with changes by path; see `load`.

    Raises:
        InputError: as `load`; its messages begin with `name`.
    """
    data = _with_included(data, name)
    kind = _kind(data, name)
    data = _in_profile(data, profile, kind, name)
    of_study: dict[str, Any] = {}
    for given, value in (changes or {}).items():
        path = kind.ALIASES.get(given, given)
        if path.split(".")[0] in kind.model_fields:
            of_study[path] = value
        else:
            _check_head(path, kind)
            # Not split into parts: in `CHANGES` the complete path is the key.
            _mapping_at(data, kind.CHANGES)[path] = value
    return kind.of(_changed(_plain_names(data), of_study), source=name)


def changes_of(
    *,
    dataset: str | Sequence[str] | None = None,
    data_root: str | None = None,
    seeds: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
) -> dict[str, Any]:
    """Return the changes of a study, by path, that these common settings make; None makes none."""
    values: dict[str, Any] = {
        "data": None if dataset is None else _named(dataset),
        "data.root": data_root,
        "seeds": seeds,
        "recipe.epochs": epochs,
        "budget.trials": trials,
    }
    given = {path: value for path, value in values.items() if value is not None}
    # A recipe has either epochs or steps: setting one removes the other.
    return given | ({"recipe.steps": None} if epochs is not None else {})


def _named(dataset: str | Sequence[str]) -> Any:
    """Return the `data` of a study from one name, or from several."""
    names = [{"name": name} for name in ([dataset] if isinstance(dataset, str) else dataset)]
    return names if len(names) > 1 else names[0]


def of(data: Any, *, source: str = "") -> Study:
    """Return a study from plain data, as `to_dict` gives it.

    Raises:
        InputError: the data are wrong; the message has path, value, allowed values and nearest name.
    """
    return _kind(data, source).of(data, source=source)


def _kind(data: Any, source: str) -> type[Study]:
    if not isinstance(data, dict):
        raise InputError(f"{source}: a study is a mapping of fields")
    kind = data.get("kind", next(iter(KINDS)))
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown("kind", kind, KINDS, path=f"{source}: kind")
    return KINDS[kind].study.load()


def _mapping_at(data: dict[str, Any], path: str) -> dict[str, Any]:
    """The mapping at a path of plain data, created if missing; it and the mappings above it are replaced by copies."""
    for part in path.split("."):
        data[part] = dict(_mapping(data.get(part) or {}, path))
        data = data[part]
    return data


def _check_head(path: str, kind: type[Study]) -> None:
    allowed = [*Architecture.model_fields, "width"]
    if path.split(".")[0] not in allowed:
        raise unknown("field", path, [*kind.model_fields, *allowed], path="--set")


def _changed(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a study with changes by path. A field of `data` is that of each data set of a list."""
    if "data" in changes:
        data = {**data, "data": _plain_data(changes["data"])}
        changes = {path: value for path, value in changes.items() if path != "data"}
    datasets = data.get("data")
    if not isinstance(datasets, list):
        return paths.assign(data, changes)
    spread: dict[str, Any] = {}
    for path, value in changes.items():
        head, _, field = path.partition(".")
        first = field.split(".")[0]
        if head != "data" or first == "*" or first.isdecimal():
            spread[path] = value
            continue
        takers = [place for place, each in enumerate(datasets) if _takes(each, field)] or range(len(datasets))
        spread |= {f"data.{place}.{field}": value for place in takers}
    return paths.assign(data, spread)


def _takes(dataset: Any, field: str) -> bool:
    """Whether a change of this field of all data sets is for this one: a `root` is only for those read from files."""
    from search.data.catalogue import DATASETS

    name = dataset.get("name") if isinstance(dataset, dict) else None
    return field != "root" or not isinstance(name, str) or name not in DATASETS or bool(DATASETS[name].root)


def _plain_names(data: dict[str, Any]) -> dict[str, Any]:
    """The data with recipe and data sets as mappings instead of names, so that paths can lead into them."""
    from search.trials.recipe import resolve_recipe

    recipe = data.get("recipe")
    return {
        **data,
        **({"recipe": resolve_recipe(recipe)} if recipe is not None else {}),
        **({"data": _plain_data(data["data"])} if "data" in data else {}),
    }


def _plain_data(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain_data(each) for each in value]
    return {"name": value} if isinstance(value, str) else value


def _with_included(data: Any, name: str, above: tuple[str, ...] = ()) -> Any:
    """Return the data of a study, with the fields of the study that it includes where it has none.

    Raises:
        InputError: the included study cannot be read, or includes this one.
    """
    if not isinstance(data, dict) or "include" not in data:
        return data
    source = data["include"]
    try:
        if not isinstance(source, str):
            raise InputError(f"must be the name of a shipped study or a file, not {source!r}")
        file = _file(source, Path(name).parent if above or Path(name).is_file() else None)
        if Path(file).resolve() in map(Path.resolve, map(Path, (*above, name))):
            raise InputError(f"{source} includes this study again")
        base = _with_included(documents.read(Path(file)), file, (*above, name))
    except InputError as error:
        raise InputError(f"{name}: include: {error}") from None
    own = {field: value for field, value in data.items() if field != "include"}
    kind = _kind({**base, **own}, name)
    return {**base, **_merged(base, own, (*kind.MERGED, "profiles"), name)}


def _merged(base: Mapping[str, Any], own: Mapping[str, Any], merged: Sequence[str], name: str) -> dict[str, Any]:
    """Return the fields of a study, those in `merged` together with the fields of the same name in the base."""
    found = {}
    for field, value in own.items():
        both = field in merged and isinstance(base.get(field), dict)
        found[field] = {**base[field], **_mapping(value, f"{name}: {field}")} if both else value
    return found


def _in_profile(data: dict[str, Any], profile: str | None, kind: type[Study], name: str) -> dict[str, Any]:
    profiles = data.pop("profiles", None) or {}
    if not isinstance(profiles, dict) or not all(isinstance(fields, dict) for fields in profiles.values()):
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
