"""A study: a question as a file. What is compared, on which data, by which recipe, over which seeds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources as files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resnet_space import Architecture, documents, paths, preset
from resnet_space.branches import Positive
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from search.data.description import DataSet
from search.recipe import NamedRecipe
from search.resources import Resources

Changes = dict[str, Any]
"""Values by path, as `Architecture.assign` takes them."""


class Arm(Description):
    """One architecture under comparison: another net, or changes by path, or both."""

    net: str | dict[str, Any] | None = None
    set: Changes = Field(default_factory=dict)
    published: dict[str, str | float | bool] = Field(default_factory=dict)
    """Which row of the published tables is this arm's: values by column."""


class Reference(Description):
    """Where the published numbers come from: a table of the catalogue, and what its rows have in common."""

    table: str
    match: dict[str, str] = Field(default_factory=dict)


class Study(Description):
    """Arms over one base net, trained alike, seed by seed.

    `net` is a preset's name or a whole architecture; `set` changes it for every arm, an arm's own `set` wins. Images
    and classes are the data's. `profiles` are forms of the same study (laptop, paper): fields that replace these, but
    for `set`, `arms` and `resources`, which are merged; the first one holds unless another is asked for.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    kind: Literal["ablation"] = "ablation"
    question: str = ""
    source: str = ""
    notes: str = ""
    net: str | dict[str, Any]
    set: Changes = Field(default_factory=dict)
    arms: Annotated[dict[str, Arm], Field(min_length=1)]
    baseline: str
    data: DataSet
    recipe: NamedRecipe
    seeds: Positive = 3
    resources: Resources = Resources()
    fail_above: Annotated[float, Field(gt=0, le=1)] = 0.2
    """A mean test error above this fraction is a "fail", as 1603.05027, table 1 reports it."""
    published: Reference | None = None

    @model_validator(mode="after")
    def _baseline_is_an_arm(self) -> Self:
        if self.baseline not in self.arms:
            raise unknown("arm", self.baseline, self.arms, path="baseline")
        return self

    @property
    def seed_numbers(self) -> range:
        return range(self.seeds)

    def architectures(self, shape: tuple[int, int, int], classes: int) -> dict[str, Architecture]:
        """Every arm's architecture, for images of this shape.

        Raises:
            InputError: an arm is no network; the message names the arm.
        """
        built = {}
        for name, arm in self.arms.items():
            try:
                net = _net(self.net if arm.net is None else arm.net)
                changes = {"input_shape": list(shape), "classes": classes, **self.set, **arm.set}
                built[name] = net.assign(changes)
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from None
        return built


def _net(net: str | dict[str, Any]) -> Architecture:
    return preset(net) if isinstance(net, str) else Architecture.of(net)


SHIPPED = files.files("ablations") / "studies"


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml"))


def load(source: str, *, profile: str | None = None, changes: Mapping[str, Any] | None = None) -> Study:
    """A study by file or shipped name, in one of its profiles, with changes by path on top.

    A path is a field of the study (`recipe.lr`, `seeds`) or, failing that, of every arm's net (`unit.order`, `width`).

    Raises:
        InputError: file, path, value, what is allowed, nearest name.
    """
    is_file = source.endswith((".yaml", ".yml", ".json")) or "/" in source
    if not is_file and source not in shipped():
        raise InputError(f"{unknown('study', source, shipped())}; or a file that ends in .yaml")
    name = source if is_file else str(SHIPPED / f"{source}.yaml")
    data = documents.read(Path(name))
    if not isinstance(data, dict):
        raise InputError(f"{name}: a study is a mapping of fields")
    data = _in_profile(data, profile, name)
    of_study: dict[str, Any] = {}
    of_net: dict[str, Any] = {}
    for path, value in (changes or {}).items():
        head = path.split(".")[0]
        (of_study if head in Study.model_fields else of_net)[path] = value
    if of_net:
        for path in of_net:
            _check_head(path)
        data["set"] = {**data.get("set", {}), **of_net}
    return Study.of(paths.assign(_plain_recipe(data), of_study), source=name)


def _check_head(path: str) -> None:
    allowed = [*Architecture.model_fields, "width"]
    if path.split(".")[0] not in allowed:
        raise unknown("field", path, [*Study.model_fields, *allowed], path="--set")


def _plain_recipe(data: dict[str, Any]) -> dict[str, Any]:
    """With the recipe as a mapping, so that a path can lead into it; the data set likewise."""
    from search.recipe import resolved

    recipe, images = data.get("recipe"), data.get("data")
    return {
        **data,
        **({"recipe": resolved(recipe)} if recipe is not None else {}),
        **({"data": {"name": images}} if isinstance(images, str) else {}),
    }


def _in_profile(data: dict[str, Any], profile: str | None, name: str) -> dict[str, Any]:
    profiles = data.pop("profiles", None) or {}
    if not isinstance(profiles, dict) or not all(isinstance(form, dict) for form in profiles.values()):
        raise InputError(f"{name}: profiles: must map names to fields")
    if profile is not None and profile not in profiles:
        raise unknown("profile", profile, profiles, path=name)
    chosen = profiles.get(profile or next(iter(profiles), ""), {})
    merged = {
        field: {**data[field], **value} if field in ("set", "resources", "arms") and field in data else value
        for field, value in chosen.items()
    }
    return {**data, **merged}
