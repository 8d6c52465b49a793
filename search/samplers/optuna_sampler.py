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

from resnet_space.axes import Axis, Choices, Range
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.samplers.sampler import AnySpace, Experience, Outcome, Proposal, ordered, place, row
from search.trials.events import Status

optuna.logging.set_verbosity(optuna.logging.ERROR)

Make = Callable[[int], BaseSampler]
"""Makes one of Optuna's samplers from a seed."""

STATES: dict[Status, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    # Known to be bad, unlike a failure; no value is invented.
    "diverged": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    # Optuna would treat a waiting trial as one of its own and return it at the next `ask`.
    "waiting": TrialState.RUNNING,
    "running": TrialState.RUNNING,
}
"""Optuna's state for each status of our trials. The exact status is in the trial's attribute `status`."""


@dataclass(frozen=True)
class Scale:
    """An axis for Optuna: a distribution, and functions from a member to its place on it and back."""

    distribution: BaseDistribution
    place: Callable[[Any], Any]
    member: Callable[[Any], Any]


def scale(axis: Axis) -> Scale:
    """Return the scale for sampling: ordered values become equal steps, a continuous range stays continuous, and other
    values are categories."""
    if axis.count is None:
        assert isinstance(axis, Range)
        return Scale(_continuum(axis), float, axis.rounded)
    if isinstance(axis, Choices) and not ordered(axis):
        return _named(axis)
    return Scale(IntDistribution(0, axis.count - 1), partial(place, axis), row(axis))


def shown(axis: Axis) -> Scale:
    """Return the scale for display: numbers are shown as they are."""
    if axis.count is None:
        return Scale(_continuum(axis), float, float)
    if isinstance(axis, Choices) and not ordered(axis):
        return _named(axis)
    values = sorted(axis.options) if isinstance(axis, Choices) else [axis.at(0), axis.at(axis.count - 1)]
    whole = all(float(value).is_integer() for value in (*values, axis.at(min(1, axis.count - 1))))
    kind = IntDistribution if whole else FloatDistribution
    return Scale(kind(values[0], values[-1]), int if whole else float, axis.member)


def tpe(startup: int, multivariate: bool, seed: int) -> BaseSampler:
    """Return a TPE sampler. `group`: model axes that are active together jointly. `constant_liar`: running trials count
    as bad ones."""
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
    """A trial that several studies share and only read: a copy has its own number and id but shares everything else.

    Optuna deep-copies each trial it gets, which would take longer than everything it does with it.
    """

    @classmethod
    def of(cls, trial: FrozenTrial) -> Shared:
        found = cls.__new__(cls)
        found.__dict__.update(trial.__dict__)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self.of(self)


class OptunaStrategy(Experience):
    """One of Optuna's samplers as a strategy, with a new Optuna study whenever something was learned.

    A new study, because otherwise proposals would also depend on the order of reports and on the sampler's earlier
    draws. This way they depend only on the seed, the number and the trials, and a trial that was restored, or that
    Optuna did not propose, counts like any other. Trials that `propose` asks for are marked as failed, which Optuna
    ignores.
    """

    def __init__(self, space: AnySpace, objectives: tuple[str, ...], make: Make, seed: int = 0) -> None:
        super().__init__()
        self._space, self._objectives, self._make, self._seed = space, objectives, make, seed
        self._scales = {path: scale(axis) for path, axis in space.axes.items()}
        self._made: dict[int, tuple[tuple[object, ...], FrozenTrial]] = {}
        self._shown: tuple[list[tuple[Proposal, Outcome]], optuna.Study] | None = None

    def propose(self, number: int) -> Assignment | None:
        study = self.study(number)
        with _no_experimental_warnings():
            trial = study.ask()

            def choose(path: str, axis: Axis) -> Any:
                return self._scales[path].member(suggest(trial, path, self._scales[path].distribution))

            found = self._space.suggest(choose)
            study.tell(trial, state=TrialState.FAIL)
        return found

    def study(self, number: int) -> optuna.Study:
        """Return the Optuna study from which the trial with this number is proposed."""
        learned = self.learned
        with _no_experimental_warnings():
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
                    # As Optuna counts generations: a new one when `size` trials of the last one are complete.
                    inner = {f"{type(sampler).__name__}:generation": complete // size}
                    complete += 1
                study.add_trial(self._known(proposal, outcome, inner))
        self._shown = (learned, study)
        return study

    def _known(self, proposal: Proposal, outcome: Outcome, inner: dict[str, Any]) -> FrozenTrial:
        """Return a trial for Optuna, cached until its outcome changes."""
        what = (proposal, outcome, inner)
        if self._made.get(proposal.number, (None,))[0] != what:
            self._made[proposal.number] = (what, Shared.of(_trial(proposal, outcome, self._scales, inner)))
        return self._made[proposal.number][1]


def write_storage(
    url: str, name: str, space: AnySpace, objectives: tuple[str, ...], history: Iterable[tuple[Proposal, Outcome]]
) -> None:
    """Write trials to a study in an Optuna storage, for optuna-dashboard. A study with this name is replaced.

    Raises:
        InputError: the URL is not a database's, or a trial does not fit the space or the objectives.
    """
    scales = {path: shown(axis) for path, axis in space.axes.items()}
    trials = []
    for proposal, outcome in sorted(history, key=lambda pair: pair[0].number):
        space.point(proposal.assignment)
        if outcome.values is not None and len(outcome.values) != len(objectives):
            raise InputError(f"trial {proposal.number}: {len(outcome.values)} values for {', '.join(objectives)}")
        trials.append(_trial(proposal, outcome, scales, {}))
    try:
        storage = optuna.storages.RDBStorage(url)
    except (sql.exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise InputError(f"storage {url!r}: {str(error).splitlines()[0]}") from None
    try:
        with _no_experimental_warnings():
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
        # Always set: Optuna treats a trial without constraints as one that satisfies them.
        constraints={"violation": outcome.violation},
    )


def suggest(trial: optuna.Trial, path: str, distribution: BaseDistribution) -> Any:
    """Return the trial's place on an axis."""
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
    # If both the text "1" and the number 1 are options, the text needs its quotes.
    names = plain if len(set(plain)) == len(plain) else [json.dumps(value) for value in axis.options]
    values = dict(zip(names, axis.options, strict=True))
    return Scale(
        CategoricalDistribution(names), lambda value: names[axis.options.index(axis.member(value))], values.__getitem__
    )


@contextmanager
def _no_experimental_warnings() -> Iterator[None]:
    """Hide Optuna's warnings about experimental features (groups, NSGA-III, metric names); our tests cover them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
