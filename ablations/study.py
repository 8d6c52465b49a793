"""The ablation study: arms that change one base net, trained in the same way with the same seeds."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from ablations.contrasts import Contrast, NumberOfSeeds, Planned, Seeds
from ablations.designs import MOST_CELLS, AnyDesign, Design, OneAtATime, changes
from ablations.diagnostics import Diagnostics, NamedDiagnostics
from ablations.factors import Changes, Factor
from ablations.matching import Match, match
from ablations.tune import NOT_OF_RECIPE, Tune, is_of_recipe
from resnet_space import Architecture, preset
from resnet_space.description import Description
from resnet_space.errors import InputError, unknown
from resnet_space.numbers import Proportion
from search.data.description import DataSet
from search.measures.catalogue import MEASURES, Measure
from search.measures.targets import AnyMeasure, measure_of
from search.trials.joint_space import JointSpace
from search.trials.recipe import Recipe
from search.trials.setup import KnownImages, Setup, changed, differing, of_network, plain_training, values_at
from search.trials.study import Study, check_images

MATCHED_SUFFIX = ", matched"
"""The end of the name of an arm that was rescaled to equal complexity."""
MAX_NAME_LENGTH = 100
"""The maximum number of characters in the name of an arm or a factor."""


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
    # Tags in brackets are left out of the path in messages.
    Annotated[str, Tag("[arm]")] | Annotated[dict[str, Level], Tag("[levels]")],
    Discriminator(lambda value: "[levels]" if isinstance(value, dict) else "[arm]"),
    BeforeValidator(_arm_or_levels),
]


class Arm(Description):
    """One arm to compare: another net, or changes of the network, the recipe or the data by path, or both."""

    net: Annotated[str | dict[str, Any] | None, BeforeValidator(_net_or_name)] = None
    set: Changes = Field(default_factory=dict)
    published: dict[str, Level] = Field(default_factory=dict)
    """The row of the published table for this arm: values by column."""


class Reference(Description):
    """The source of published numbers: a table of the catalogue, and column values that all its rows must have."""

    table: str
    match: dict[str, str] = Field(default_factory=dict)
    rows: dict[str, dict[str, Level]] = Field(default_factory=dict)
    """Like `Arm.published`, by arm: for the arms of a design, which are not listed in the file."""


class Ablation(Study):
    """An ablation: arms that change one base net, or how it is trained, with the same seeds.

    `net` is a preset's name or a complete architecture. `set` changes it for every arm; an arm's own `set` overrides
    it. Paths that begin with `recipe` or `data` change the recipe and the data of the study, for every arm or for one.
    Image shape and classes come from the data. Arms are listed, or made of `factors` by a `design`; then the baseline
    is given by its levels. With `match`, every arm is also trained at equal complexity.
    """

    CHANGES = "set"
    MERGED = (*Study.MERGED, "set", "arms", "factors")
    # These fields can change in a run's folder: more seeds only add trials, and changed contrasts count as not planned.
    CHANGEABLE = (*Study.CHANGEABLE, "seeds", "measures", "planned", "diagnostics", "published", "fail_above")

    kind: Literal["ablation"] = "ablation"
    net: Net
    set: Changes = Field(default_factory=dict)
    arms: dict[str, Arm] = Field(default_factory=dict)
    factors: dict[str, Factor] = Field(default_factory=dict)
    design: AnyDesign = OneAtATime()
    tuned: Annotated[dict[str, Changes], Field(exclude_if=lambda tuned: not tuned)] = Field(default_factory=dict)
    """Values by path for single arms, matched ones included, over those of `set`: `tune` finds them."""
    tune: Annotated[Tune | None, Field(exclude_if=lambda tune: tune is None)] = None
    baseline: ArmOrLevels = Field(default_factory=dict)
    match: Match | None = None
    seeds: NumberOfSeeds = 3
    measures: tuple[AnyMeasure, ...] = ()
    """What the table of arms shows in addition to the test error and the measures of planned contrasts."""
    planned: Planned = Planned()
    diagnostics: NamedDiagnostics = Diagnostics()
    fail_above: Proportion = 0.2
    """A mean test error above this fraction is a "fail", as in 1603.05027, table 1."""
    published: Reference | None = None

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if bool(self.arms) == bool(self.factors):
            raise InputError("give arms, or factors and a design; not both" if self.arms else "give arms or factors")
        if len(self.arms) > MOST_CELLS:
            raise InputError(f"arms: {len(self.arms)} of them; at most {MOST_CELLS} are allowed")
        for given in (*self.arms, *self.factors):
            if len(given) > MAX_NAME_LENGTH:
                raise InputError(
                    f"{given[:20]}...: a name of {len(given)} characters; at most {MAX_NAME_LENGTH} are allowed"
                )
        if self.arms and not (isinstance(self.baseline, str) and self.baseline in self.arms):
            raise unknown("arm", self.baseline or "", self.arms, path="baseline")
        if self.factors and isinstance(self.baseline, str):
            raise InputError(f"baseline: {self.baseline!r} must map factors to levels, since the study has factors")
        # `all_arms` compiles the design and finds the published rows, so that their errors are raised here.
        for name_of_arm in self.all_arms:
            _check_name(name_of_arm)
        # Here too, for their errors; the parts of a study on several data sets check themselves.
        _ = self.on_each if self.several else self.trained
        for arm, values in self.tuned.items():
            if arm.removesuffix(MATCHED_SUFFIX) not in self.all_arms:
                raise unknown("arm", arm, self.all_arms, path="tuned")
            if foreign := next((path for path in values if not is_of_recipe(path)), None):
                raise InputError(f"tuned.{arm}: {foreign}: {NOT_OF_RECIPE}")
        if self.tune and self.several:
            raise InputError("tune: the study has several data sets; tune its arms on one of them, with --dataset NAME")
        _ = self._recipe_spaces
        for contrast in self.planned.compare:
            for name in (contrast.arm, contrast.versus):
                if name is not None and name not in self.all_arms:
                    raise unknown("arm", name, self.all_arms, path="planned.compare")
            if contrast.arm == (contrast.versus or self.control):
                raise InputError(f"planned.compare: {contrast.arm!r} is compared with itself")
        if self.adaptive and not self.planned.compare:
            raise InputError("seeds: a range needs planned contrasts, and planned.compare is empty")
        least = self.planned.least_seeds
        if self.adaptive and self.least_seeds < least:
            raise InputError(
                f"seeds.min: {self.least_seeds}; test {self.planned.test!r} has no result with fewer than {least} seeds"
            )
        return self

    @cached_property
    def compiled(self) -> Design | None:
        """The design over the factors; None where arms are listed."""
        if not self.factors:
            return None
        assert not isinstance(self.baseline, str)
        return self.design.compile(self.factors, self.baseline)

    @cached_property
    def all_arms(self) -> dict[str, Arm]:
        """All arms by name, from the file or from the design."""
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

    @cached_property
    def trained(self) -> Mapping[str, tuple[Recipe, DataSet]]:
        """The recipe and the data of every arm of a study on one data set."""
        found = {}
        for name, arm in self.all_arms.items():
            try:
                found[name] = changed(*self._of_every_arm, arm.set)
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from None
        return found

    @cached_property
    def _of_every_arm(self) -> tuple[Recipe, DataSet]:
        """The recipe and the data of an arm that sets neither."""
        try:
            return changed(self.recipe, self.dataset, self.set)
        except InputError as error:
            raise InputError(f"set: {error}") from None

    @property
    def trainings(self) -> Sequence[tuple[Recipe, DataSet]]:
        own = [self._tuned(name) for name in self.tuned]
        return list(dict.fromkeys([self._of_every_arm, *self.trained.values(), *own]))

    def _tuned(self, name: str) -> tuple[Recipe, DataSet]:
        """Return the recipe and the data of an arm, or of its matched arm, with the values that it was tuned to."""
        return changed(*self.trained[name.removesuffix(MATCHED_SUFFIX)], self.tuned.get(name, {}))

    @cached_property
    def _recipe_spaces(self) -> Sequence[JointSpace]:
        """The spaces of recipes that arms are tuned in, for any network."""
        if self.tune is None:
            return ()
        try:
            return [self.tune.space(*training) for training in dict.fromkeys(self.trained.values())]
        except InputError as error:
            raise InputError(f"tune: {error}") from None

    @property
    def tunes(self) -> bool:
        return self.tune is not None

    @property
    def settled(self) -> bool:
        return self.tune is None

    def makes(self, recipe: Recipe, data: DataSet) -> bool:
        return any(space.makes(recipe, data) for space in self._recipe_spaces)

    @property
    def at_shared(self) -> Ablation:
        """The study without tuning: every arm has the recipe that the study gives it."""
        return self.model_copy(update={"tune": None})

    def at_own(self, recipes: Mapping[str, Changes]) -> Ablation:
        """Return the study with every arm, matched ones included, at its own recipe, as values by path."""
        return self.model_copy(update={"tune": None, "tuned": dict(recipes)})

    def varied(self, recipe: Recipe, data: DataSet) -> dict[str, Any]:
        own, *others = self.trainings
        varied = dict.fromkeys(path for other in others for path in differing(*own, *other))
        varied |= dict.fromkeys(self.tune.axes if self.tune else ())
        return values_at(varied, plain_training(recipe, data))

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
    def analyses(self) -> tuple[int, ...]:
        """The number of seeds at each analysis of the contrasts, for a contrast that stays open."""
        return self.seeds.analyses if isinstance(self.seeds, Seeds) else (self.seeds,)

    def analyses_up_to(self, seeds: int) -> tuple[int, ...]:
        """Return the analyses that are made with at most this number of seeds, at least the first one."""
        return tuple(number for number in self.analyses if number <= seeds) or self.analyses[:1]

    @property
    def measure(self) -> Measure:
        """The measure that contrasts compare, unless they have their own."""
        return measure_of(self.planned.measure)

    def measure_of(self, contrast: Contrast) -> Measure:
        """Return the measure that a contrast compares."""
        return measure_of(contrast.measure or self.planned.measure)

    @cached_property
    def shown_measures(self) -> tuple[Measure, ...]:
        """The measures in the table of arms, each once: the test error first, then those of contrasts, then others."""
        found = [MEASURES["test_error"], *self.planned.measures, *map(measure_of, self.measures)]
        return tuple(dict.fromkeys(found))

    @property
    def plan_hash(self) -> str:
        """The hash of the planned comparisons, which shows whether they were planned before the first trial."""
        seeds = self.seeds.to_dict() if isinstance(self.seeds, Seeds) else self.seeds
        return self.planned.hash(baseline=self.control, seeds=seeds)

    def resolved_contrast(self, contrast: Contrast, arms: Container[str], *, matched: bool = True) -> Contrast:
        """Return the contrast with its defaults filled in, between matched arms if they exist."""

        def side(name: str) -> str:
            return f"{name}{MATCHED_SUFFIX}" if matched and f"{name}{MATCHED_SUFFIX}" in arms else name

        return contrast.model_copy(
            update={
                "arm": side(contrast.arm),
                "versus": side(contrast.versus or self.control),
                "measure": contrast.measure or self.planned.measure,
            }
        )

    @property
    def extent(self) -> str:
        return f"{len(self.all_arms)} arms"

    def architectures(self, shape: tuple[int, int, int], classes: int) -> dict[str, Architecture]:
        """Return the architecture of every arm for images of this shape, then those matched to equal complexity.

        An arm that already has this complexity has no matched arm.

        Raises:
            InputError: an arm cannot be built or matched; the message names the arm.
        """
        return self._built(dict.fromkeys(self.all_arms, (shape, classes)))

    def setups(self, images: Mapping[DataSet, KnownImages]) -> dict[str, Setup]:
        """Return the setup of every arm, with the networks of `architectures`.

        Args:
            images: what is known of the images of each data set of `trainings`.

        Raises:
            InputError: as `architectures`.
        """
        on = {name: images[data] for name, (_, data) in self.trained.items()}
        nets = self._built({name: (known.shape, known.classes) for name, known in on.items()})

        def setup(name: str, net: Architecture) -> Setup:
            return Setup(net, *self._tuned(name), on[name.removesuffix(MATCHED_SUFFIX)].fingerprint)

        return {name: setup(name, net) for name, net in nets.items()}

    def _built(self, shapes: Mapping[str, tuple[tuple[int, int, int], int]]) -> dict[str, Architecture]:
        built = {}
        for name, arm in self.all_arms.items():
            shape, classes = shapes[name]
            try:
                net = _net(self.net if arm.net is None else arm.net)
                changes = {"input_shape": list(shape), "classes": classes, **of_network({**self.set, **arm.set})}
                built[name] = net.assign(changes)
                check_images(built[name], shape, classes)
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from None
        if self.match is not None:
            target = self.match.target(built[self.control])
            for name, net in list(built.items()):
                matched = match(net, target, self.match, path=f"arms.{name}")
                if matched.key != net.key:
                    built[f"{name}{MATCHED_SUFFIX}"] = matched
        return built


def _check_name(name: str) -> None:
    """Refuse a name that cannot be shown in tables, figures and messages, or that could be that of a matched arm."""
    if not name.strip() or not name.isprintable():
        raise InputError(f"arms: {name!r} is not a name; allowed: one line of printable characters")
    if name.endswith(MATCHED_SUFFIX):
        raise InputError(f"arms: {name!r} ends like the name of a matched arm; leave out {MATCHED_SUFFIX!r}")


def _net(net: str | dict[str, Any]) -> Architecture:
    return preset(net) if isinstance(net, str) else Architecture.of(net)
