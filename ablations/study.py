"""The study that compares: arms over one base net, trained alike, seed by seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resnet_space import Architecture, preset
from resnet_space.branches import Positive
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from search.study import Study

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


class Ablation(Study):
    """Arms over one base net, trained alike, seed by seed.

    `net` is a preset's name or a whole architecture; `set` changes it for every arm, an arm's own `set` wins. Images
    and classes are the data's.
    """

    CHANGES = "set"
    MERGED = (*Study.MERGED, "set", "arms")
    # More seeds are more trials; those that are there stay what they are.
    FREE = (*Study.FREE, "seeds")

    kind: Literal["ablation"] = "ablation"
    net: str | dict[str, Any]
    set: Changes = Field(default_factory=dict)
    arms: Annotated[dict[str, Arm], Field(min_length=1)]
    baseline: str
    seeds: Positive = 3
    fail_above: Annotated[float, Field(gt=0, le=1)] = 0.2
    """A mean test error above this fraction is a "fail", as 1603.05027, table 1 reports it."""
    published: Reference | None = None

    @model_validator(mode="after")
    def _baseline_is_an_arm(self) -> Self:
        if self.baseline not in self.arms:
            raise unknown("arm", self.baseline, self.arms, path="baseline")
        return self

    @property
    def extent(self) -> str:
        return f"{len(self.arms)} arms"

    @property
    def confirming(self) -> range:
        """Every arm's seeds."""
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
