"""The stability of a front: the probability that a network stays on it when errors are resampled over seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from search.fronts.dominance import dominated_by, nondominated

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]

MIN_OWN_SEEDS = 3
"""With at least this many seeds, a network's own errors are resampled; with fewer, the residuals of all networks."""
MAX_DEVIATIONS = 4.0
"""A resampled mean is assumed to be within this many standard deviations of the mean."""
MIN_DRAWS = 50
ERRORS_PER_BLOCK = 4_000_000
"""The number of errors drawn at a time, which limits the memory."""


@dataclass(frozen=True)
class Samples:
    """Errors of networks over seeds: network i has errors[starts[i] : starts[i] + n[i]]."""

    errors: Floats
    starts: Indices
    n: Indices

    @cached_property
    def means(self) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(self.errors)])
        means: Floats = (sums[self.starts + self.n] - sums[self.starts]) / self.n
        return means

    def select(self, networks: Indices) -> Samples:
        return Samples(self.errors, self.starts[networks], self.n[networks])


def residuals(samples: Samples) -> Floats:
    """Return residuals of errors over seeds: (e - mean) sqrt(n / (n - 1)) over all networks with n >= 2, centred.

    The factor corrects for the mean being estimated from the same errors. Empty if no network has two seeds.
    """
    pools = [np.empty(0)]
    for size in np.unique(samples.n[samples.n > 1]):
        errors = _errors(samples, np.flatnonzero(samples.n == size), size)
        pools.append(((errors - errors.mean(axis=1, keepdims=True)) * np.sqrt(size / (size - 1))).ravel())
    pool = np.concatenate(pools)
    return pool - pool.mean() if len(pool) else pool


def resampled_means(samples: Samples, pool: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Return means of bootstrap samples over seeds, shape (draws, networks).

    A sample is n of the network's own errors with replacement. With fewer than `MIN_OWN_SEEDS` seeds it is the
    network's mean plus n residuals of `pool`.
    """
    means = np.empty((draws, len(samples.n)))
    for size in np.unique(samples.n):
        at = np.flatnonzero(samples.n == size)
        errors = _errors(samples, at, size)
        if size < MIN_OWN_SEEDS:
            drawn = errors.mean(axis=1)[:, None] + rng.choice(pool, (draws, len(at), size))
        else:
            drawn = errors[np.arange(len(at))[:, None], rng.integers(size, size=(draws, len(at), size))]
        means[:, at] = drawn.mean(axis=2)
    return means


def rivals(samples: Samples, pool: Floats, costs: Floats, members: Indices) -> Indices:
    """Return the networks that can dominate a member of the front in some draw, and the members.

    A network is left out if its error minus `MAX_DEVIATIONS` standard deviations of the mean, s / sqrt(n), is still
    dominated by some member's error plus as many of its own; s is the pool's or the network's own, whichever is larger.
    """
    spread = np.full(len(samples.n), pool.std())
    for size in np.unique(samples.n[samples.n > 1]):
        at = np.flatnonzero(samples.n == size)
        spread[at] = np.maximum(spread[at], _errors(samples, at, size).std(axis=1, ddof=1))
    margin = MAX_DEVIATIONS * spread / np.sqrt(samples.n)
    low, high = np.column_stack([samples.means - margin, costs]), np.column_stack([samples.means + margin, costs])
    near = ~dominated_by(low, high[members])
    near[members] = True
    return np.flatnonzero(near)


def nondominated_probabilities(
    samples: Samples,
    pool: Floats,
    costs: Floats,
    members: Indices,
    passes: Callable[[int], bool],
    *,
    draws: int,
    seed: int,
) -> list[float]:
    """Return the share of bootstrap draws in which no network that passes dominates each member.

    Costs, shape (networks, m - 1), are exact. The same seed gives the same shares. With very many rivals there are
    fewer draws, at least `MIN_DRAWS`, to limit the time.
    """
    near = np.array([i for i in rivals(samples, pool, costs, members).tolist() if passes(i)], dtype=np.intp)
    samples, costs, at = samples.select(near), costs[near], np.searchsorted(near, members)
    draws = min(draws, max(MIN_DRAWS, ERRORS_PER_BLOCK // 4 // len(near)))
    rng = np.random.default_rng(seed)
    stayed = np.zeros(len(members))
    block = max(1, ERRORS_PER_BLOCK // int(samples.n.sum()))
    for begun in range(0, draws, block):
        means = resampled_means(samples, pool, min(block, draws - begun), rng)
        stayed += _nondominated_in_draws(means, costs, at).sum(axis=0)
    return [float(share) for share in stayed / draws]


def _nondominated_in_draws(means: Floats, costs: Floats, members: Indices) -> Flags:
    """Return which members are nondominated in each draw, shape (draws, members)."""
    if costs.shape[1] > 1:
        return np.array([nondominated(np.column_stack([drawn, costs]))[members] for drawn in means])
    # With one cost or none: the lowest error at a lower cost, and at most the same cost.
    cost = costs[:, 0] if costs.shape[1] else np.zeros(len(costs))
    order = cost.argsort(kind="stable")
    cheaper = np.searchsorted(cost[order], cost[members], "left")
    no_dearer = np.searchsorted(cost[order], cost[members], "right")
    cuts = np.unique([0, *cheaper, *no_dearer])
    between = np.minimum.reduceat(means[:, order], cuts[cuts < len(cost)], axis=1)
    least = np.hstack([np.full((len(means), 1), np.inf), np.minimum.accumulate(between, axis=1)])
    stays: Flags = (least[:, np.searchsorted(cuts, cheaper)] > means[:, members]) & (
        least[:, np.searchsorted(cuts, no_dearer)] >= means[:, members]
    )
    return stays


def _errors(samples: Samples, networks: Indices, size: int) -> Floats:
    """Return the errors of networks that have `size` seeds, one row each."""
    errors: Floats = samples.errors[samples.starts[networks, None] + np.arange(size)]
    return errors
