"""The samplers that a study may name: what each may be told, and the strategy that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Annotated, Literal

from resnet_space import Space, complexity
from resnet_space.catalogues import OneOf
from resnet_space.dependence import Assignment
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError
from resnet_space.numbers import AtLeast2, Positive
from search.samplers.sampler import Experience, Strategy


class SamplerKind(Kind):
    """How a search chooses what to try next."""

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        """A strategy that knows nothing yet.

        Raises:
            InputError: this sampler cannot search this space.
        """
        raise NotImplementedError


class Local(SamplerKind):
    """Moves from networks of the front, by expected hypervolume improvement; costs are known, errors predicted.

    The first `startup` networks are spread over the costs. See `search.samplers.local_search`.
    """

    kind: Literal["local"] = "local"
    startup: Positive = 10

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers.local_search import LocalSearch

        return LocalSearch(space, objectives, complexity, seed, self.startup)


class TPE(SamplerKind):
    """Optuna's tree-structured Parzen estimator. Bergstra et al. 2011; several objectives: Ozaki et al. 2022.

    `multivariate` takes axes together, in groups that count together. The first `startup` networks are drawn.
    """

    kind: Literal["tpe"] = "tpe"
    startup: Positive = 10
    multivariate: bool = True

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.tpe, self.startup, self.multivariate)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class NSGA2(SamplerKind):
    """Optuna's NSGA-II: generations of `population` networks. Deb et al. 2002."""

    kind: Literal["nsga2"] = "nsga2"
    population: AtLeast2 = 20

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.nsga2, self.population)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class NSGA3(SamplerKind):
    """Optuna's NSGA-III, for three objectives and more: generations of `population` networks. Deb and Jain 2014."""

    kind: Literal["nsga3"] = "nsga3"
    population: AtLeast2 = 20

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.nsga3, self.population)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class GP(SamplerKind):
    """Optuna's Gaussian process, by (log) expected hypervolume improvement. The first `startup` networks are drawn."""

    kind: Literal["gp"] = "gp"
    startup: Positive = 10

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        from search.samplers import optuna_sampler

        make = partial(optuna_sampler.gp, self.startup)
        return optuna_sampler.OptunaStrategy(space, objectives, make, seed)


class RandomDraws(SamplerKind):
    """Every axis drawn evenly: what the others have to beat."""

    kind: Literal["random"] = "random"

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        return _Draws(space, seed)


class Grid(SamplerKind):
    """Every network of the space, the last axis changing fastest; not for a continuous range."""

    kind: Literal["grid"] = "grid"

    def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
        for path, axis in space.axes.items():
            if axis.count is None:
                raise InputError(
                    f"sampler.kind: grid has no end on the continuous range of {path}; give that a step, or take "
                    f"another sampler: {', '.join(name for name in SAMPLERS if name != 'grid')}"
                )
        return _Listing(space)


class _Draws(Experience):
    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self._space, self._seed = space, seed

    def propose(self, number: int) -> Assignment | None:
        return self._space.draw(Random(f"random {self._seed} {number}"))


class _Listing(Experience):
    """The networks as the space lists them; those known already, or forbidden, are passed over."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        self._listed: list[tuple[str, Assignment]] = []
        self._rest = self._feasible()

    def propose(self, number: int) -> Assignment | None:
        known = {proposal.net.key for proposal, _ in self.learned}
        # A pure function all the same: the list is the space's, however much of it is there already.
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
                net = self._space.architecture(assignment)
            except InputError:
                continue
            if net.key not in seen and self._space.feasible(net) is None:
                seen.add(net.key)
                yield net.key, assignment


SAMPLERS: dict[str, type[SamplerKind]] = kinds(SamplerKind, globals())
"""By name: every class above that has a `kind`. The tests find a new one by themselves."""

DEFAULT = Local()

AnySampler = Annotated[SamplerKind, OneOf(SAMPLERS)]
"""A sampler's name, or `{kind: NAME, field: value, ...}`."""
