"""A trial: one architecture, one recipe, one data set, one seed; and the job that a worker takes at a time."""

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
    """What a trial is, and all that its numbers depend on."""

    architecture: Architecture
    recipe: Recipe
    data: DataSet
    fingerprint: str
    """Of the data's content and splits, so that other images under the same name are another trial."""
    seed: Annotated[int, Field(ge=0)]

    @cached_property
    def key(self) -> str:
        """Content hash, 16 hex digits: of what is trained, not of where, when, or how it was written down."""
        return Identity(self.recipe, self.fingerprint).key(self.architecture.key, self.seed)


class Job(Description):
    """What one worker takes at a time: trials that differ in their seeds, and in where their weights begin, alone.

    `probes` are epochs behind which the signals' propagation is measured, 0 the beginning; they change no number of a
    trial, and are not in its name. `together` is whether the trials train as one network; None where the worker finds
    out which is faster.
    """

    trials: Annotated[tuple[TrialSpec, ...], Field(min_length=1)]
    probes: tuple[int, ...] = ()
    name: str = ""
    together: bool | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.trials[0].key)
        return self
