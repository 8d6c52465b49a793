"""Optuna's samplers as strategies, and a search's trials as an Optuna study; the only module that imports Optuna."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import optuna
import sqlalchemy as sql
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from resnet_space import Space
from resnet_space.axes import Axis, Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.samplers.sampler import Experience, Outcome, Proposal, ordered, place, row
from search.trials.events import Status

optuna.logging.set_verbosity(optuna.logging.ERROR)

Make = Callable[[int], BaseSampler]
"""From a seed to one of Optuna's samplers."""

STATES: dict[Status, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    # Known to be hopeless, which a failure is not; and no value is made up.
    "diverged": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    # Optuna would take a waiting trial for one of its own, to be asked for next.
    "waiting": TrialState.RUNNING,
    "running": TrialState.RUNNING,
}
"""What Optuna calls a trial of ours. Which it really is stands in its attribute `status`."""


@dataclass(frozen=True)
class Scale:
    """An axis as Optuna sees it: a distribution, and a member's place on it, there and back."""

    distribution: BaseDistribution
    place: Callable[[Any], Any]
    member: Callable[[Any], Any]


def scale(axis: Axis) -> Scale:
    """Numbers keep their order, as places in a row of equal steps; a continuum stays one; words have names alone."""
    if axis.count is None:
        return Scale(_continuum(axis), float, float)
    if isinstance(axis, Choices) and not ordered(axis):
        return _named(axis)
    return Scale(IntDistribution(0, axis.count - 1), partial(place, axis), row(axis))


def shown(axis: Axis) -> Scale:
    """The axis as people want to see it: numbers as they are."""
    if axis.count is None:
        return Scale(_continuum(axis), float, float)
    if isinstance(axis, Choices) and not ordered(axis):
        return _named(axis)
    values = sorted(axis.options) if isinstance(axis, Choices) else [axis.at(0), axis.at(axis.count - 1)]
    whole = all(float(value).is_integer() for value in (*values, axis.at(min(1, axis.count - 1))))
    kind = IntDistribution if whole else FloatDistribution
    return Scale(kind(values[0], values[-1]), int if whole else float, axis.member)


def tpe(startup: int, multivariate: bool, seed: int) -> BaseSampler:
    """`group`: axes that count together are taken together. `constant_liar`: trials that run count as bad ones."""
    return optuna.samplers.TPESampler(
        n_startup_trials=startup, multivariate=multivariate, group=multivariate, constant_liar=True, seed=seed
    )


def nsga2(population: int, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=population, seed=seed)


def nsga3(population: int, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIIISampler(population_size=population, seed=seed)


def gp(startup: int, seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(n_startup_trials=startup, seed=seed, warn_independent_sampling=False)


class Shared(FrozenTrial):
    """A trial of many studies, which only read it: a study's own number and id are all that is copied for each.

    Optuna copies whatever it is given to the last leaf, which takes longer than all that it does with it.
    """

    @classmethod
    def of(cls, trial: FrozenTrial) -> Shared:
        found = cls.__new__(cls)
        found.__dict__.update(trial.__dict__)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self.of(self)


class OptunaStrategy(Experience):
    """One of Optuna's samplers, asked about a study that is made anew whenever something was learned.

    Anew, because what a study was told last, or what its sampler drew before, would otherwise count: this way the
    answer depends on the seed, the number and the trials alone, and a trial that was restored, or that Optuna never
    asked for, is like any other. What it was asked in between has failed, as far as it knows, and counts for nothing.
    """

    def __init__(self, space: Space, objectives: tuple[str, ...], make: Make, seed: int = 0) -> None:
        super().__init__()
        self._space, self._objectives, self._make, self._seed = space, objectives, make, seed
        self._scales = {path: scale(axis) for path, axis in space.axes.items()}
        self._made: dict[int, tuple[tuple[object, ...], FrozenTrial]] = {}
        self._shown: tuple[list[tuple[Proposal, Outcome]], optuna.Study] | None = None

    def propose(self, number: int) -> Assignment | None:
        study = self.study(number)
        with _unexcited():
            trial = study.ask()

            def choose(path: str, axis: Axis) -> Any:
                return self._scales[path].member(suggest(trial, path, self._scales[path].distribution))

            found = self._space.suggest(choose)
            study.tell(trial, state=TrialState.FAIL)
        return found

    def study(self, number: int) -> optuna.Study:
        """What Optuna is shown before it proposes the trial of this number."""
        learned = self.learned
        with _unexcited():
            sampler = self._make(Random(f"{self._seed} {number}").randrange(2**31))
            if self._shown and self._shown[0] == learned:
                self._shown[1].sampler = sampler
                return self._shown[1]
            study = optuna.create_study(directions=["minimize"] * len(self._objectives), sampler=sampler)
            size = sampler.population_size if isinstance(sampler, BaseGASampler) else None
            complete = 0
            for proposal, outcome in learned:
                inner: dict[str, Any] = {}
                if size and outcome.status == "complete":
                    # Generations as Optuna counts them: a new one when so many trials of the last are complete.
                    inner = {f"{type(sampler).__name__}:generation": complete // size}
                    complete += 1
                study.add_trial(self._known(proposal, outcome, inner))
        self._shown = (learned, study)
        return study

    def _known(self, proposal: Proposal, outcome: Outcome, inner: dict[str, Any]) -> FrozenTrial:
        """A trial as Optuna sees it, made once for as long as nothing else is known of it."""
        what = (proposal, outcome, inner)
        if self._made.get(proposal.number, (None,))[0] != what:
            self._made[proposal.number] = (what, Shared.of(_trial(proposal, outcome, self._scales, inner)))
        return self._made[proposal.number][1]


def write_storage(
    url: str, name: str, space: Space, objectives: tuple[str, ...], history: Iterable[tuple[Proposal, Outcome]]
) -> None:
    """Write trials as a study of an Optuna storage, for optuna-dashboard; one of this name is replaced.

    Raises:
        InputError: the URL is no database's, or a trial does not fit the space or the objectives.
    """
    scales = {path: shown(axis) for path, axis in space.axes.items()}
    trials = []
    for proposal, outcome in sorted(history, key=lambda pair: pair[0].number):
        space.architecture(proposal.assignment)
        if outcome.values is not None and len(outcome.values) != len(objectives):
            raise InputError(f"trial {proposal.number}: {len(outcome.values)} values for {', '.join(objectives)}")
        trials.append(_trial(proposal, outcome, scales, {}))
    try:
        storage = optuna.storages.RDBStorage(url)
    except (sql.exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise InputError(f"storage {url!r}: {str(error).splitlines()[0]}") from None
    try:
        with _unexcited():
            if name in optuna.get_all_study_names(storage):
                optuna.delete_study(study_name=name, storage=storage)
            study = optuna.create_study(storage=storage, study_name=name, directions=["minimize"] * len(objectives))
            study.set_metric_names(list(objectives))
            study.add_trials(trials)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _trial(proposal: Proposal, outcome: Outcome, scales: dict[str, Scale], inner: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        state=STATES[outcome.status],
        values=outcome.values,
        params={path: scales[path].place(value) for path, value in proposal.assignment.items()},
        distributions={path: scales[path].distribution for path in proposal.assignment},
        user_attrs={"status": outcome.status, "key": proposal.net.key, "seed": proposal.seed},
        system_attrs=inner,
        # Always: a trial that says nothing of constraints counts as one that keeps them.
        constraints={"violation": outcome.violation},
    )


def suggest(trial: optuna.Trial, path: str, distribution: BaseDistribution) -> Any:
    """The trial's place on an axis."""
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(path, distribution.low, distribution.high)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(path, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(path, distribution.choices)


def _continuum(axis: Any) -> FloatDistribution:
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _named(axis: Choices) -> Scale:
    plain = [value if isinstance(value, str) else json.dumps(value) for value in axis.options]
    # The text "1" beside the number 1 needs its quotes.
    names = plain if len(set(plain)) == len(plain) else [json.dumps(value) for value in axis.options]
    values = dict(zip(names, axis.options, strict=True))
    return Scale(
        CategoricalDistribution(names), lambda value: names[axis.options.index(axis.member(value))], values.__getitem__
    )


@contextmanager
def _unexcited() -> Iterator[None]:
    """Optuna warns of what it calls experimental: groups, NSGA-III, metric names. We test what we use of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
