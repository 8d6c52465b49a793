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
    frame = in_order(frame)
    fresh = frame["seed"].isin(list(seeds))
    found = frame["seed"].where(fresh).groupby(frame["architecture"]).transform("nunique")
    confirmed = (found == len(set(seeds))) & bool(seeds)
    return frame.assign(confirmed=confirmed)[fresh | ~confirmed]


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """By network and seed. The store gives them so, and to look is cheaper than to sort."""
    same = frame["architecture"].eq(frame["architecture"].shift())
    back = (frame["seed"].diff() < 0) | (frame["seed"].diff() == 0) & (frame["validation_error"].diff() < 0)
    if frame["architecture"].is_monotonic_increasing and not (same & back).any():
        return frame
    return frame.sort_values(["architecture", "seed", "validation_error"], kind="stable")


def by_network(trials: pd.DataFrame) -> pd.DataFrame:
    """Means and spreads of `counted` trials."""
    return (
        trials.groupby("architecture", sort=True)
        .agg(
            error=("validation_error", "mean"),
            error_std=("validation_error", "std"),
            n=("validation_error", "size"),
            test_error=("test_error", "mean"),
            test_error_std=("test_error", "std"),
            **{name: (name, "first") for name in COSTS},
            confirmed=("confirmed", "first"),
        )
        .reset_index()
    )
