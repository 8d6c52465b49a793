"""The surrogate of local search: networks as features, and extremely randomised trees (Geurts et al. 2006) on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from resnet_space.axes import Axis, Choices, Range
from search.fronts.dominance import Floats
from search.samplers.forests import answers
from search.samplers.sampler import ordered, place

TREES = 64
"""Trees of the surrogate."""
MAX_TREE_SAMPLES = 256
"""From this number of finished trials on, each tree is fitted to a random sample of this size, and the surrogate and
the candidates are kept for a block of asks."""

STOPPED = 0.75
"""A trial that was stopped early gets this quantile of what the trees predict for it."""

Forest = Callable[[Floats], Floats]
"""A function that returns each tree's predictions: see `grow`."""


def encoded(axis: Axis, value: Any) -> list[float]:
    """Return a value as numbers in [0, 1]: its relative place among ordered values, or a one-hot vector."""
    if isinstance(axis, Choices) and not ordered(axis):
        return [float(option is axis.member(value)) for option in axis.options]
    if axis.count is not None:
        return [place(axis, value) / max(axis.count - 1, 1)]
    assert isinstance(axis, Range)
    low, high = axis.low, axis.high
    if low == high:
        return [0.0]
    if axis.log:
        return [math.log(value / low) / math.log(high / low)]
    return [(value - low) / (high - low)]


def absent(axis: Axis) -> list[float]:
    """Return the numbers for an inactive axis: -1, or a vector of zeros."""
    return [0.0] * len(axis.options) if isinstance(axis, Choices) and not ordered(axis) else [-1.0]


def grow(features: Floats, goals: Floats, seed: int, *, noisy: bool = True) -> Forest:
    """Fit extremely randomised trees to `goals` (n, g) of `features` (n, f).

    Each tree is fitted to a bootstrap sample of at most `MAX_TREE_SAMPLES` rows: without samples every tree would
    repeat what it has seen, noise too. If the goals are not `noisy`, it is fitted to all rows up to that number.

    Returns a function from features (k, f) to each tree's predictions (trees, k, g).
    """
    from sklearn.ensemble import ExtraTreesRegressor

    middle, width = goals.mean(axis=0), goals.std(axis=0)
    width[width == 0] = 1.0
    rows = min(len(goals), MAX_TREE_SAMPLES)
    some = {"bootstrap": True, "max_samples": rows} if noisy or rows < len(goals) else {}
    forest = ExtraTreesRegressor(TREES, n_jobs=1, random_state=seed, **some)
    wanted = (goals - middle) / width
    forest.fit(features, wanted if len(width) > 1 else wanted[:, 0])

    def ask(asked: Floats) -> Floats:
        return np.asarray(answers(forest, asked) * width + middle)

    return ask


def censored(features: Floats, goals: Floats, seed: int) -> Floats:
    """Return the goals (n, g) with rows of NaN, those of trials that were stopped, filled with predictions.

    Stopped means worse than most others so far, for a network of its cost: a quantile of all results would make a cheap
    network look good, which is only worse than other cheap ones.
    """
    stopped = np.isnan(goals).any(axis=1)
    if not stopped.any():
        return goals
    forest = grow(features[~stopped], goals[~stopped], seed)
    filled = goals.copy()
    filled[stopped] = np.quantile(forest(features[stopped]), STOPPED, axis=0)
    return filled


def spread(goals: Floats) -> Floats:
    """Return predictions (trees, k, g), each moved by a normal quantile of its tree times the trees' disagreement.

    A tree predicts nothing outside the values that it has seen, so no new network could be better than the best so far.
    All networks have the same quantile in a tree, so that they are compared without the noise of draws.
    """
    places = (np.arange(len(goals)) + 0.5) / len(goals)
    quantiles = np.array([NormalDist().inv_cdf(place) for place in places.tolist()])
    return np.asarray(goals + quantiles[:, None, None] * goals.std(axis=0))


def logit(errors: Floats) -> Floats:
    """Return log(e / (1 - e)) of errors between 0.1 % and 99.9 %; others are moved there."""
    inside = np.clip(errors, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(inside / (1 - inside)))
