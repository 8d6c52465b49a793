"""A trial: one architecture, one recipe, one data set, one seed; and a job: the trials that a worker runs at a time."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, model_validator

from resnet_space import Architecture
from resnet_space.description import Description
from search.data.description import DataSet
from search.trials.identity import Identity
from search.trials.recipe import Recipe


class TrialSpec(Description):
    """The description of a trial: everything that its results depend on."""

    architecture: Architecture
    recipe: Recipe
    data: DataSet
    fingerprint: str
    """The hash of the data's content and splits: other images under the same name make another trial."""
    seed: Annotated[int, Field(ge=0)]

    @cached_property
    def identity(self) -> Identity:
        """The recipe and the data, as they are in the trial's key."""
        return Identity(self.recipe, self.fingerprint)

    @cached_property
    def key(self) -> str:
        """The hash, 16 hex digits, of what is trained; not of where, when, or how it was written in a file."""
        return self.identity.key(self.architecture.key, self.seed)


class Job(Description):
    """The trials that one worker runs at a time; they differ only in seeds, initial weights and shortcuts.

    `probes` are the epochs after which the propagation of signals is measured (0: before training); they change no
    result, and are not part of a trial's key. `together` is whether the trials train as one network; None if the worker
    measures which is faster. `judged` are the epochs after which a trial can be stopped: its worker waits there for the
    verdict, and nowhere else.

        Job(trials=(TrialSpec(..., seed=0), TrialSpec(..., seed=1)), probes=(0, 1))
    """

    trials: Annotated[tuple[TrialSpec, ...], Field(min_length=1)]
    probes: tuple[int, ...] = ()
    name: str = ""
    together: bool | None = None
    judged: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.trials[0].key)
            # A copy with fewer trials keeps it.
            self.model_fields_set.add("name")
        return self
