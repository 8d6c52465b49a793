"""The study that searches a space: what is to be small, what must be kept to, how long to look."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from resnet_space import Space
from resnet_space.description import Description
from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES
from resnet_space.numbers import Above0, Positive
from search.fronts.objectives import NAMES_OF_RESULTS, parse_objectives
from search.samplers.kinds import DEFAULT, AnySampler
from search.samplers.stopping import AnyStopping, NoStopping
from search.trials.study import Study, check_images

NumberOfSeeds = Annotated[int, Field(le=1000)]
Corner = Annotated[float, Field(gt=0, le=1e30)]


class Budget(Description):
    """When a search has asked enough: what is spent first ends it. Running trials go on to their ends.

    `trials` counts networks that were begun; one over a complexity constraint never is. `device_hours` are hours of
    GPUs, or of CPUs where a trial asks for no GPU, over all trials; `wall_hours` those in which any trial ran. The
    confirmation of the front comes on top.
    """

    trials: Positive | None = None
    device_hours: Above0 | None = None
    wall_hours: Above0 | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.trials is None and self.device_hours is None and self.wall_hours is None:
            raise InputError("give trials, device_hours or wall_hours: a search without a budget has no end")
        return self


class Search(Study):
    """A space, what is to be small, what it must keep to, and how long to look.

    `constraints` about the architecture and its costs are kept before training: a network that breaks one is never
    begun. Those about results (`latency_ms <= 5`) hold on the front. The front is then trained anew with `confirm`
    fresh seeds. `reference` is the point that hypervolumes are measured against.

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
    space: Space
    objectives: Annotated[tuple[str, ...], BeforeValidator(parse_objectives)] = ("error", "macs")
    constraints: tuple[str, ...] = ()
    budget: Budget
    sampler: AnySampler = DEFAULT
    stopping: AnyStopping = NoStopping()
    replicates: Annotated[NumberOfSeeds, Field(ge=1)] = 1
    """Seeds of each network while searching."""
    confirm: Annotated[NumberOfSeeds, Field(ge=0)] = 3
    reference: dict[str, Corner] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the sampler; trials are numbered seeds of their own, from 0."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for text in self.constraints:
            try:
                Expression(text, NAMES_OF_RESULTS)
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
        """Seeds that no network was chosen by."""
        return range(self.replicates, self.replicates + self.confirm)

    @property
    def result_constraint(self) -> Expression | None:
        late = [text for text in self.constraints if not _before_training(text)]
        return Expression(" and ".join(f"({text})" for text in late), NAMES_OF_RESULTS) if late else None

    def bounded(self, shape: tuple[int, int, int], classes: int) -> Space:
        """The space for images of this shape, with the constraints that hold before training.

        Raises:
            InputError: the space says of images or classes what is not so.
        """
        for name in ("input_shape", "classes"):
            if any(path.split(".")[0] == name for path in self.space.axes):
                raise InputError(f"space.axes.{name}: is the data's, and no axis")
        early = [text for text in self.constraints if _before_training(text)]
        space = Space.of(
            self.space.to_dict()
            | {
                "set": {"input_shape": list(shape), "classes": classes, **self.space.set},
                "constraints": [*self.space.constraints, *early],
            }
        )
        check_images(space.start, shape, classes)
        return space


def _before_training(text: str) -> bool:
    return set(Expression(text, NAMES_OF_RESULTS).names) <= NAMES.keys()
