"""The front: networks that no other beats in every objective, how sure that is, and the best within a budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_space.errors import InputError
from resnet_space.expressions import Expression
from resnet_space.fields import Lookup
from search.fronts.objectives import chosen

if TYPE_CHECKING:
    import pandas as pd

MAY_LACK = ("error_std", "test_error", "test_error_std", "latency_ms")
COUNTS = ("depth", "params", "macs", "activations")


@dataclass(frozen=True)
class Point:
    """A network on a front. Errors are fractions: means and sample standard deviations over `n` seeds."""

    key: str
    """The architecture's."""
    values: Mapping[str, float]
    """By objective."""
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
    confirmed: bool
    """Whether the numbers are of fresh seeds, which the network was not chosen by."""
    p_nondominated: float | None = None
    """The probability that it is still on the front when errors are drawn anew; None if no network has two seeds."""


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
    """The networks that no other dominates, among those that have all objectives and for which `where` is true.

    `frame` is `Store.results()`, `seeds` those of fresh trials (see `networks`). `where` is over `NAMES_OF_RESULTS`;
    what is in no column it asks of `describe(architecture key)`, and of few networks. Sorted by the second objective,
    the cost of a lower error, then by the first.

    `p_nondominated` is the share of `bootstrap` draws, by `seed`, in which a member is dominated by no network that
    `where` is true for; errors are drawn anew over seeds, costs are exact.

    Raises:
        InputError: an unknown objective, the same one twice, or none at all.
        ValueError: `where` asks for what is in no column, and there is no `describe`.
    """
    import numpy as np

    from search.fronts.filtering import filtered, first_front
    from search.fronts.networks import by_network, counted
    from search.fronts.stability import Samples, chances, residuals

    names = chosen(objectives)
    trials = counted(frame, seeds)
    table = by_network(trials)
    n = table["n"].to_numpy(int)
    samples = Samples(trials["validation_error"].to_numpy(float), n.cumsum() - n, n)
    pool = residuals(samples)
    whole = np.flatnonzero(table[list(names)].notna().all(axis=1))
    table = table.iloc[whole]
    among, passes = filtered(table, where, describe)
    values = table[list(names)].to_numpy(float)
    members = first_front(values, among, passes)
    sure: Sequence[float | None] = [None] * len(members)
    if bootstrap and "error" not in names:
        sure = [1.0] * len(members)
    elif bootstrap and len(pool) and len(members):
        costs = np.delete(values, names.index("error"), axis=1)
        sure = chances(samples.of(whole), pool, costs, members, passes, draws=bootstrap, seed=seed)
    order = np.lexsort(
        (table["architecture"].to_numpy(str)[members], *values[members].T[::-1], *values[members].T[1:2])
    )
    rows = table.iloc[members[order]].to_dict("records")
    return [_point(row, names, sure[i]) for row, i in zip(rows, order.tolist(), strict=True)]


def best(
    frame: pd.DataFrame,
    budget: Expression,
    *,
    seeds: Collection[int] = (),
    describe: Callable[[str], Lookup] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Point:
    """The network of least error for which `budget` is true; of equals that of the fewest MACs.

    Raises:
        InputError: none keeps to the budget, and which comes nearest; or no network has a complete trial.
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
        raise InputError(f"no network meets {budget.text}; what it asks for is missing of all {len(table)}")
    nearest = lookup(min(gaps, key=lambda i: gaps[i]))
    shown = ", ".join(f"{name} = {_shown(nearest, name)}" for name in budget.names)
    raise InputError(f"no network meets {budget.text}; the nearest has {shown}")


def _point(row: Mapping[Any, Any], names: Sequence[str], chance: float | None) -> Point:
    counts = {name: None if row[name] != row[name] else int(row[name]) for name in COUNTS}
    floats = {name: None if row[name] != row[name] else row[name] for name in MAY_LACK}
    return Point(
        key=row["architecture"],
        values={name: row[name] for name in names},
        error=row["error"],
        n=int(row["n"]),
        confirmed=bool(row["confirmed"]),
        p_nondominated=chance,
        **counts,
        **floats,
    )


def _shown(lookup: Lookup, name: str) -> str:
    """A number as people write it, 61,000,000 or 0.0712; words as they stand."""
    try:
        value = lookup(name)
    except LookupError:
        value = None
    if value is None or value != value:
        return "unknown"
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
