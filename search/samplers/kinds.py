"""The samplers that a study can name: their settings and the strategies they make."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Annotated, Literal

from resnet_space import complexity
from resnet_space.catalogues import OneOf
from resnet_space.dependence import Assignment
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.numbers import AtLeast2, Positive
from search.samplers.sampler import AnySpace, Experience, Strategy


class SamplerKind(Kind):
    """The base of all samplers: how a search chooses the next network."""

    @property
    def blind(self) -> float:
        """How many proposals, the first ones, do not depend on any result; infinity if none does."""
        return 0

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        """Return a strategy without history.

        Raises:
            InputError: this sampler cannot search this space.
        """
        raise NotImplementedError


class Local(SamplerKind):
    """Local search from networks on the front, by expected hypervolume improvement with known costs.

    The first `startup` networks are spread over the costs. See `search.samplers.local_search`.
    """

    kind: Literal["local"] = "local"
    startup: Positive = 10

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers.local_search import LocalSearch

        return LocalSearch(space, objectives, complexity, seed, self.startup)


class TPE(SamplerKind):
    """Optuna's tree-structured Parzen estimator. Bergstra et al. 2011; several objectives: Ozaki et al. 2022.

    `multivariate` models axes jointly, in groups that are active together. The first `startup` networks are random.
    """

    kind: Literal["tpe"] = "tpe"
    startup: Positive = 10
    multivariate: bool = True

    @property
    def blind(self) -> float:
        return self.startup

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.tpe, self.startup, self.multivariate)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class NSGA2(SamplerKind):
    """Optuna's NSGA-II: generations of `population` networks. Deb et al. 2002."""

    kind: Literal["nsga2"] = "nsga2"
    population: AtLeast2 = 20

    @property
    def blind(self) -> float:
        return self.population

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.nsga2, self.population)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class NSGA3(SamplerKind):
    """Optuna's NSGA-III, for three objectives and more: generations of `population` networks. Deb and Jain 2014."""

    kind: Literal["nsga3"] = "nsga3"
    population: AtLeast2 = 20

    @property
    def blind(self) -> float:
        return self.population

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.nsga3, self.population)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class GP(SamplerKind):
    """Optuna's Gaussian process, by (log) expected hypervolume improvement. The first `startup` networks are random."""

    kind: Literal["gp"] = "gp"
    startup: Positive = 10

    @property
    def blind(self) -> float:
        return self.startup

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.gp, self.startup)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class RandomDraws(SamplerKind):
    """Uniform random values for every axis: the baseline for other samplers."""

    kind: Literal["random"] = "random"

    @property
    def blind(self) -> float:
        return math.inf

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        return _Draws(space, seed)


class Grid(SamplerKind):
    """Every network of the space, the last axis changing fastest; not for a continuous range."""

    kind: Literal["grid"] = "grid"

    @property
    def blind(self) -> float:
        return math.inf

    def strategy(self, space: AnySpace, objectives: tuple[str, ...], seed: int) -> Strategy:
        for path, axis in space.axes.items():
            if axis.count is None:
                raise InputError(
                    f"sampler.kind: grid has no end on the continuous range of {path}; give that a step, or take "
                    f"another sampler: {', '.join(name for name in SAMPLERS if name != 'grid')}"
                )
        return _Listing(space)


class _Draws(Experience):
    def __init__(self, space: AnySpace, seed: int) -> None:
        super().__init__()
        self._space, self._seed = space, seed

    def propose(self, number: int) -> Assignment | None:
        return self._space.draw(Random(f"random {self._seed} {number}"))


class _Listing(Experience):
    """The networks in the space's order, without those that are known already or forbidden."""

    def __init__(self, space: AnySpace) -> None:
        super().__init__()
        self._space = space
        self._listed: list[tuple[str, Assignment]] = []
        self._rest = self._feasible()

    def propose(self, number: int) -> Assignment | None:
        known = {proposal.key for proposal, _ in self.learned}
        # Still a pure function: the list depends on the space only, however much of it was read before.
        unknown = (assignment for key, assignment in self._listed if key not in known)
        found = next(unknown, None)
        while found is None:
            key, assignment = next(self._rest, ("", None))
            if assignment is None:
                return None
            self._listed.append((key, assignment))
            found = assignment if key not in known else None
        return found

    def _feasible(self) -> Iterator[tuple[str, Assignment]]:
        seen: set[str] = set()
        for assignment in self._space.assignments():
            try:
                point = self._space.point(assignment)
            except InputError:
                continue
            if point.key not in seen and self._space.feasible(point) is None:
                seen.add(point.key)
                yield point.key, assignment


SAMPLERS: dict[str, type[SamplerKind]] = kinds(SamplerKind, globals())
"""All classes above that have a `kind`, by name. Tests include new ones automatically."""

DEFAULT = Local()

AnySampler = Annotated[SamplerKind, OneOf(SAMPLERS)]
"""A sampler's name, or `{kind: NAME, field: value, ...}`."""
