"""What is known of each network: its complete trials as one row, means and spreads over seeds."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("depth", "params", "macs", "activations", "latency_ms")
"""Columns that are the network's own, the same in all of its trials."""


def networks(frame: pd.DataFrame, seeds: Collection[int] = ()) -> pd.DataFrame:
    """One row a network, in the order of keys, with columns `architecture, error, error_std, n, test_error,
    test_error_std, depth, params, macs, activations, latency_ms, confirmed`.

    `frame` is `Store.results()`. Errors are means over seeds of complete trials, with the sample standard deviation
    (n - 1), NaN for one seed; `n` counts trials. A trial that was pruned is censored, and in no mean.

    `seeds` are those of fresh trials. A network that has completed all of them is confirmed, and its numbers are over
    them alone: a trial that it was chosen for was lucky, among many. Without seeds nothing is confirmed.
    """
    return by_network(counted(frame, seeds))


def counted(frame: pd.DataFrame, seeds: Collection[int] = ()) -> pd.DataFrame:
    """The trials that speak for their networks, by network and seed, and whether that confirms it."""
    complete = frame[(frame["status"] == "complete") & frame["validation_error"].notna()]
    complete = complete.sort_values(["architecture", "seed", "validation_error"], kind="stable")
    fresh = complete["seed"].isin(list(seeds))
    found = complete["seed"].where(fresh).groupby(complete["architecture"]).transform("nunique")
    confirmed = (found == len(set(seeds))) & bool(seeds)
    return complete.assign(confirmed=confirmed)[fresh | ~confirmed]


def by_network(trials: pd.DataFrame) -> pd.DataFrame:
    """Means and spreads of `counted` trials."""
    numbers = ["validation_error", "test_error", *COSTS]
    groups = trials.astype(dict.fromkeys(numbers, float)).groupby("architecture", sort=True)
    return groups.agg(
        error=("validation_error", "mean"),
        error_std=("validation_error", "std"),
        n=("validation_error", "size"),
        test_error=("test_error", "mean"),
        test_error_std=("test_error", "std"),
        **{name: (name, "first") for name in COSTS},
        confirmed=("confirmed", "first"),
    ).reset_index()
