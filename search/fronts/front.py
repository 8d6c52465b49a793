"""The Pareto front of networks, how certain it is, and the best network within a budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import Lookup
from search.fronts.objectives import parse_objectives

if TYPE_CHECKING:
    import pandas as pd

OPTIONAL_COLUMNS = ("error_std", "test_error", "test_error_std", "latency_ms", "seconds")
COUNTS = ("depth", "params", "macs", "activations")


@dataclass(frozen=True)
class Point:
    """A network on a front, with its best recipe. Errors are fractions: means and sample standard deviations over `n`
    seeds."""

    key: str
    """The architecture's key."""
    values: Mapping[str, float]
    """Values by objective."""
    error: float
    error_std: float | None
    n: int
    test_error: float | None
    test_error_std: float | None
    depth: int | None
    params: int | None
    macs: int | None
    activations: int | None
    latency_ms: float | None
    seconds: float | None
    """The mean training time."""
    confirmed: bool
    """Whether the numbers are over fresh seeds, by which the network was not chosen."""
    training: str = ""
    """The recipe and data of its trials, as `Identity.training`; empty if the frame does not have it."""
    p_nondominated: float | None = None
    """The probability that it is on the front when errors are resampled; None if no network has two seeds."""

    @property
    def setup(self) -> str:
        """The key of the network together with its recipe and data."""
        return f"{self.key} {self.training}".rstrip()


def front(
    frame: pd.DataFrame,
    objectives: str | Sequence[str],
    *,
    seeds: Collection[int] = (),
    where: Expression | None = None,
    describe: Callable[[str], Lookup] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[Point]:
    """Return the networks that no other dominates, among those that have all objectives and for which `where` is true.

    `p_nondominated` is the share of `bootstrap` draws in which no network that passes `where` dominates the member.
    Errors are resampled over seeds; costs are exact. Points are sorted by the second objective, then by the first.

        front(store.results(), "error,macs", where=Expression("macs <= 5e7", NAMES_OF_RESULTS))

    Args:
        frame: `Store.results()`.
        seeds: the seeds of fresh trials; see `networks`.
        where: over `NAMES_OF_RESULTS`; fields that are in no column come from `describe`, called for few networks.
        describe: from the key of a network and, after a space, its `training`, to its fields; see `Point.setup`.
        seed: of the resampling.

    Raises:
        InputError: an unknown objective, the same one twice, or none at all.
        ValueError: `where` uses a field that is in no column, and there is no `describe`.
    """
    import numpy as np

    from search.fronts.filtering import filtered, first_front
    from search.fronts.networks import network_means, relevant_trials
    from search.fronts.stability import Samples, nondominated_probabilities, residuals

    names = parse_objectives(objectives)
    trials = relevant_trials(frame, seeds)
    table = network_means(trials)
    n = table["n"].to_numpy(int)
    samples = Samples(trials["validation_error"].to_numpy(float), n.cumsum() - n, n)
    pool = residuals(samples)
    whole = np.flatnonzero(table[list(names)].notna().all(axis=1))
    table = table.iloc[whole]
    among, passes = filtered(table, where, describe)
    values = table[list(names)].to_numpy(float)
    members = first_front(values, among, passes)
    probabilities: Sequence[float | None] = [None] * len(members)
    if bootstrap and "error" not in names:
        probabilities = [1.0] * len(members)
    elif bootstrap and len(pool) and len(members):
        costs = np.delete(values, names.index("error"), axis=1)
        probabilities = nondominated_probabilities(
            samples.select(whole), pool, costs, members, passes, draws=bootstrap, seed=seed
        )
    order = np.lexsort(
        (table["architecture"].to_numpy(str)[members], *values[members].T[::-1], *values[members].T[1:2])
    )
    rows = table.iloc[members[order]].to_dict("records")
    return [_point(row, names, probabilities[i]) for row, i in zip(rows, order.tolist(), strict=True)]


def best(
    frame: pd.DataFrame,
    budget: Expression,
    *,
    seeds: Collection[int] = (),
    describe: Callable[[str], Lookup] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Point:
    """Return the network with the lowest error for which `budget` is true; of equal ones, that with the fewest MACs.

    Raises:
        InputError: none satisfies the budget, with the nearest one; or no network has a complete trial.
    """
    found = front(frame, "error", seeds=seeds, where=budget, describe=describe, bootstrap=bootstrap, seed=seed)
    if found:
        return min(found, key=lambda point: (float("inf") if point.macs is None else point.macs, point.key))
    from search.fronts.filtering import lookups
    from search.fronts.networks import networks

    table = networks(frame, seeds)
    if table.empty:
        raise InputError("no network has a complete trial yet")
    lookup = lookups(table, budget, describe)
    gaps = {i: gap for i in range(len(table)) if (gap := budget.violation(lookup(i))) > 0}
    if not gaps:
        raise InputError(f"no network meets {budget.text}; values that it needs are missing for all {len(table)}")
    nearest = lookup(min(gaps, key=lambda i: gaps[i]))
    shown = ", ".join(f"{name} = {_shown(nearest, name)}" for name in budget.names)
    raise InputError(f"no network meets {budget.text}; the nearest has {shown}")


def _point(row: Mapping[Any, Any], names: Sequence[str], chance: float | None) -> Point:
    counts = {name: None if row[name] != row[name] else int(row[name]) for name in COUNTS}
    floats = {name: None if row[name] != row[name] else row[name] for name in OPTIONAL_COLUMNS}
    return Point(
        key=row["architecture"],
        values={name: row[name] for name in names},
        error=row["error"],
        n=int(row["n"]),
        confirmed=bool(row["confirmed"]),
        p_nondominated=chance,
        training=row.get("training", ""),
        **counts,
        **floats,
    )


def _shown(lookup: Lookup, name: str) -> str:
    """Return a number as messages show it, 61,000,000 or 0.0712; words are unchanged."""
    try:
        value = lookup(name)
    except LookupError:
        value = None
    if value is None or value != value:
        return "unknown"
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
