"""The study that compares: arms over one base net, trained alike, seed by seed."""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from ablations.contrasts import MEASURES, Contrast, Measure, NumberOfSeeds, Planned, Seeds
from ablations.designs import MOST_CELLS, AnyDesign, Design, OneAtATime, changes
from ablations.diagnostics import Diagnostics, NamedDiagnostics
from ablations.factors import Changes, Factor
from ablations.matching import Match, match
from resnet_space import Architecture, preset
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Proportion
from search.trials.study import Study, check_images

MATCHED = ", matched"
"""Behind the name of an arm that was rescaled to the same complexity."""
LONGEST = 100
"""Characters of the name that somebody gives an arm."""


def _net_or_name(value: Any) -> Any:
    if value is not None and not isinstance(value, str | dict):
        raise InputError(f"must be a preset's name or an architecture, not {value!r}")
    return value


def _level(value: Any) -> Any:
    if not isinstance(value, str | float | int):
        raise InputError(f"must be text, a number, true or false, not {value!r}")
    return value


def _arm_or_levels(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise InputError(f"must be an arm's name, or map factors to levels, not {value!r}")
    return value


Net = Annotated[str | dict[str, Any], BeforeValidator(_net_or_name)]
Level = Annotated[str | float | bool, BeforeValidator(_level)]


ArmOrLevels = Annotated[
    # Tags in brackets: no part of the path that a message names.
    Annotated[str, Tag("[arm]")] | Annotated[dict[str, Level], Tag("[levels]")],
    Discriminator(lambda value: "[levels]" if isinstance(value, dict) else "[arm]"),
    BeforeValidator(_arm_or_levels),
]


class Arm(Description):
    """One architecture under comparison: another net, or changes by path, or both."""

    net: Annotated[str | dict[str, Any] | None, BeforeValidator(_net_or_name)] = None
    set: Changes = Field(default_factory=dict)
    published: dict[str, Level] = Field(default_factory=dict)
    """Which row of the published tables is this arm's: values by column."""


class Reference(Description):
    """Where the published numbers come from: a table of the catalogue, and what its rows have in common."""

    table: str
    match: dict[str, str] = Field(default_factory=dict)
    rows: dict[str, dict[str, Level]] = Field(default_factory=dict)
    """By arm, as `Arm.published`: for the arms of a design, which stand nowhere in the file."""


class Ablation(Study):
    """Arms over one base net, trained alike, seed by seed.

    `net` is a preset's name or a whole architecture; `set` changes it for every arm, an arm's own `set` wins. Images
    and classes are the data's. Arms are listed, or made of `factors` by a `design`, which then names the baseline by
    its levels. With `match`, every arm is trained a second time at equal complexity.
    """

    CHANGES = "set"
    MERGED = (*Study.MERGED, "set", "arms", "factors")
    # More seeds are more trials; those that are there stay what they are. Contrasts that change are told apart.
    CHANGEABLE = (*Study.CHANGEABLE, "seeds", "planned", "diagnostics", "published", "fail_above")

    kind: Literal["ablation"] = "ablation"
    net: Net
    set: Changes = Field(default_factory=dict)
    arms: dict[str, Arm] = Field(default_factory=dict)
    factors: dict[str, Factor] = Field(default_factory=dict)
    design: AnyDesign = OneAtATime()
    baseline: ArmOrLevels = Field(default_factory=dict)
    match: Match | None = None
    seeds: NumberOfSeeds = 3
    planned: Planned = Planned()
    diagnostics: NamedDiagnostics = Diagnostics()
    fail_above: Proportion = 0.2
    """A mean test error above this fraction is a "fail", as 1603.05027, table 1 reports it."""
    published: Reference | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if bool(self.arms) == bool(self.factors):
            raise InputError("give arms, or factors and a design; not both" if self.arms else "give arms or factors")
        if len(self.arms) > MOST_CELLS:
            raise InputError(f"arms: {len(self.arms)} of them; at most {MOST_CELLS} are allowed")
        for given in (*self.arms, *self.factors):
            if len(given) > LONGEST:
                raise InputError(f"{given[:20]}...: a name of {len(given)} characters; at most {LONGEST} are allowed")
        if self.arms and not (isinstance(self.baseline, str) and self.baseline in self.arms):
            raise unknown("arm", self.baseline or "", self.arms, path="baseline")
        if self.factors and isinstance(self.baseline, str):
            raise InputError(f"baseline: {self.baseline!r} must map factors to levels, since the study has factors")
        # What is wrong with a design, or with published rows, is said here and not when arms are first asked for.
        for listed in self.listed:
            _check_name(listed)
        for contrast in self.planned.compare:
            for name in (contrast.arm, contrast.versus):
                if name is not None and name not in self.listed:
                    raise unknown("arm", name, self.listed, path="planned.compare")
            if contrast.arm == (contrast.versus or self.control):
                raise InputError(f"planned.compare: {contrast.arm!r} is compared with itself")
        if self.adaptive and not self.planned.compare:
            raise InputError("seeds: more seeds are added for planned contrasts, and planned.compare has none")
        return self

    @cached_property
    def compiled(self) -> Design | None:
        """The design over the factors; None where arms are listed."""
        if not self.factors:
            return None
        assert not isinstance(self.baseline, str)
        return self.design.compile(self.factors, self.baseline)

    @cached_property
    def listed(self) -> dict[str, Arm]:
        """Every arm by name, from the file or from the design."""
        arms = self.arms
        if self.compiled is not None:
            arms = {cell.name: Arm(set=changes(cell, self.factors)) for cell in self.compiled.cells}
        rows = self.published.rows if self.published else {}
        for name in rows:
            if name not in arms:
                raise unknown("arm", name, arms, path="published.rows")
        return {
            name: arm.model_copy(update={"published": rows[name]}) if name in rows else arm
            for name, arm in arms.items()
        }

    @property
    def control(self) -> str:
        """The baseline's name."""
        if self.compiled is not None:
            return self.compiled.baseline
        assert isinstance(self.baseline, str)
        return self.baseline

    @property
    def adaptive(self) -> bool:
        return isinstance(self.seeds, Seeds)

    @property
    def least_seeds(self) -> int:
        return self.seeds.min if isinstance(self.seeds, Seeds) else self.seeds

    @property
    def most_seeds(self) -> int:
        return self.seeds.max if isinstance(self.seeds, Seeds) else self.seeds

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds at each look at the contrasts, as many as there may be."""
        return self.seeds.looks if isinstance(self.seeds, Seeds) else (self.seeds,)

    def looked(self, seeds: int) -> tuple[int, ...]:
        """The looks that so many seeds make; the first in any case."""
        return tuple(look for look in self.looks if look <= seeds) or self.looks[:1]

    @property
    def measure(self) -> Measure:
        """What contrasts are about."""
        return MEASURES[self.planned.measure]

    @property
    def plan_hash(self) -> str:
        """Of what was planned to be compared, to tell whether that was so before the first trial."""
        seeds = self.seeds.to_dict() if isinstance(self.seeds, Seeds) else self.seeds
        return self.planned.hash(baseline=self.control, seeds=seeds)

    def resolved_contrast(self, contrast: Contrast, arms: Container[str], *, matched: bool = True) -> Contrast:
        """With the baseline where it names no other, and of arms of equal complexity where there are such."""

        def side(name: str) -> str:
            return f"{name}{MATCHED}" if matched and f"{name}{MATCHED}" in arms else name

        return contrast.model_copy(update={"arm": side(contrast.arm), "versus": side(contrast.versus or self.control)})

    @property
    def extent(self) -> str:
        return f"{len(self.listed)} arms"

    @property
    def confirmation_seeds(self) -> range:
        """Every arm's seeds, those that only some have left out."""
        return range(self.least_seeds)

    def architectures(self, shape: tuple[int, int, int], classes: int) -> dict[str, Architecture]:
        """Every arm's architecture, for images of this shape; behind them those matched to the same complexity.

        An arm that needs no matching has no second form.

        Raises:
            InputError: an arm is no network, or cannot be matched; the message names the arm.
        """
        built = {}
        for name, arm in self.listed.items():
            try:
                net = _net(self.net if arm.net is None else arm.net)
                changes = {"input_shape": list(shape), "classes": classes, **self.set, **arm.set}
                built[name] = net.assign(changes)
                check_images(built[name], shape, classes)
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from None
        if self.match is not None:
            target = self.match.target(built[self.control])
            for name, net in list(built.items()):
                same = match(net, target, self.match, path=f"arms.{name}")
                if same.key != net.key:
                    built[f"{name}{MATCHED}"] = same
        return built


def _check_name(name: str) -> None:
    """An arm's name stands in tables, figures and messages: a line of text, and not another arm's."""
    if not name.strip() or not name.isprintable():
        raise InputError(f"arms: {name!r} is no name; allowed: a line of letters, digits and signs")
    if name.endswith(MATCHED):
        raise InputError(f"arms: {name!r} ends as the name of a matched arm does; leave {MATCHED!r} out")


def _net(net: str | dict[str, Any]) -> Architecture:
    return preset(net) if isinstance(net, str) else Architecture.of(net)
