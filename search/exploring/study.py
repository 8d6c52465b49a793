"""The study that searches a space: its objectives, constraints and budget."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES
from resnet_space.numbers import Above0, Positive
from search.data.description import DataSet
from search.fronts.objectives import NAMES_OF_RESULTS, parse_objectives
from search.samplers.kinds import DEFAULT, AnySampler
from search.samplers.stopping import AnyStopping, NoStopping
from search.trials.joint_space import NAMES_OF_TRAINING, JointSpace, SpaceOfStudy
from search.trials.recipe import Recipe
from search.trials.setup import changed
from search.trials.study import Study, check_images

NAMES_IN_CONSTRAINTS = NAMES_OF_RESULTS | NAMES_OF_TRAINING
"""The names in a search's constraints: of the network, its results, its recipe and its data."""

NumberOfSeeds = Annotated[int, Field(le=1000)]
Corner = Annotated[float, Field(gt=0, le=1e30)]


def _only_one(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) > 1:
        raise InputError(
            "a list, but a search takes one data set, since errors on different data have no front in common; "
            "run one search for each, or compare the networks found on all of them in an ablation"
        )
    return value[0] if isinstance(value, list | tuple) and value else value


class Budget(Description):
    """When a search proposes no more networks: as soon as one limit is reached. Running trials continue to their end.

    `trials` counts trained networks; one that breaks a complexity constraint is not trained. `device_hours` sums over
    all trials the hours of GPUs, or of CPUs if trials ask for no GPU. `wall_hours` is the time in which at least one
    trial ran. The confirmation of the front is not counted. Example: `{trials: 50, wall_hours: 2}`.
    """

    trials: Positive | None = None
    device_hours: Above0 | None = None
    wall_hours: Above0 | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.trials is None and self.device_hours is None and self.wall_hours is None:
            raise InputError("give trials, device_hours or wall_hours: a search without a budget has no end")
        return self


class Search(Study):
    """A space, the objectives to minimise, constraints, and a budget.

    `constraints` on the architecture and its costs (`params <= 300000`) are checked before training: a network that
    breaks one is never trained. Constraints on results (`latency_ms <= 5`) select the front. The networks of the front
    are then trained again with `confirm` fresh seeds. `reference` is the reference point of hypervolumes.

    Raises:
        InputError: an unknown objective or the same one twice, a constraint that does not parse, no budget.
    """

    CHANGES = "space.set"
    ALIASES = {"seeds": "confirm"}  # noqa: RUF012
    MERGED = (*Study.MERGED, "space", "budget")
    CHANGEABLE = (
        *Study.CHANGEABLE,
        "space",
        "objectives",
        "constraints",
        "budget",
        "sampler",
        "stopping",
        "replicates",
        "confirm",
        "reference",
        "seed",
    )

    kind: Literal["search"] = "search"
    data: Annotated[DataSet, BeforeValidator(_only_one)]
    space: SpaceOfStudy
    objectives: Annotated[tuple[str, ...], BeforeValidator(parse_objectives)] = ("error", "macs")
    constraints: tuple[str, ...] = ()
    budget: Budget
    sampler: AnySampler = DEFAULT
    stopping: AnyStopping = NoStopping()
    replicates: Annotated[NumberOfSeeds, Field(ge=1)] = 1
    """Seeds of each network during the search."""
    confirm: Annotated[NumberOfSeeds, Field(ge=0)] = 3
    reference: dict[str, Corner] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the sampler. Trials have their own seeds, numbered from 0."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for path in self.space.set:
            if path.split(".")[0] == "data":
                raise InputError(f"space.set.{path}: a search has the same data for all networks; give it as {path}")
        _ = self.joint_space
        # A rule ranks trials at the same epoch: those of another length are at another point of their schedule there.
        of_length = ["recipe.epochs", "recipe.steps"]
        if self.trainings[0][0].steps is not None:
            of_length += ["recipe.batch_size", "data.limit"]
        varied = [path for path in of_length if path in self.space.axes]
        if varied and self.stopping.kind != "none":
            raise InputError(
                f"stopping: {self.stopping.kind} compares trials at the same epoch, and {' and '.join(varied)} in "
                "space.axes changes how many epochs they have; leave one of the two out"
            )
        for text in self.constraints:
            try:
                Expression(text, NAMES_IN_CONSTRAINTS)
            except InputError as error:
                raise InputError(f"constraints: {error}") from None
        if self.reference is not None and set(self.reference) != set(self.objectives):
            raise InputError(
                f"reference: needs a value for each of {', '.join(self.objectives)}, and no other; "
                f"not for {', '.join(self.reference) or 'none'}"
            )
        return self

    @property
    def extent(self) -> str:
        return f"a space of {len(self.space.axes)} axes"

    @property
    def front_objectives(self) -> tuple[str, ...]:
        return self.objectives

    @property
    def confirmation_seeds(self) -> range:
        """The fresh seeds: those that no network was selected with."""
        return range(self.replicates, self.replicates + self.confirm)

    @property
    def result_constraint(self) -> Expression | None:
        """The constraints on results as one expression; None if there are none."""
        texts = [text for text in self.constraints if not _before_training(text)]
        return Expression(" and ".join(f"({text})" for text in texts), NAMES_IN_CONSTRAINTS) if texts else None

    @cached_property
    def joint_space(self) -> JointSpace:
        """The space with the recipe and the data of the study, for images of any shape."""
        try:
            space = self.space.complete(self.recipe, self.dataset)
            _ = space.start
        except InputError as error:
            raise InputError(f"space: {error}") from None
        return space

    @property
    def trainings(self) -> Sequence[tuple[Recipe, DataSet]]:
        return [changed(self.recipe, self.dataset, self.space.set)]

    @property
    def settled(self) -> bool:
        return not self.space.of_recipe

    def makes(self, recipe: Recipe, data: DataSet) -> bool:
        return self.joint_space.makes(recipe, data)

    def varied(self, recipe: Recipe, data: DataSet) -> dict[str, Any]:
        return self.joint_space.searched(recipe, data)

    def space_for(self, shape: tuple[int, int, int], classes: int) -> JointSpace:
        """Return the space for images of this shape, with the constraints that are checked before training.

        Raises:
            InputError: the space sets another shape or number of classes, or has them as an axis.
        """
        for name in ("input_shape", "classes"):
            if any(path.split(".")[0] == name for path in self.space.axes):
                raise InputError(f"space.axes.{name}: is given by the data, and cannot be an axis")
        early = [text for text in self.constraints if _before_training(text)]
        of_data = {"input_shape": list(shape), "classes": classes}
        space = self.space.complete(self.recipe, self.dataset, changes=of_data, constraints=early)
        check_images(space.start.net, shape, classes)
        return space


def _before_training(text: str) -> bool:
    return set(Expression(text, NAMES_IN_CONSTRAINTS).names) <= NAMES.keys() | NAMES_OF_TRAINING.keys()
