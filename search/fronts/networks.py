"""The results of each network: one row with means and standard deviations over the seeds of its complete trials."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("depth", "params", "macs", "activations", "latency_ms")
"""Columns that are the same in all trials of a network."""


def networks(frame: pd.DataFrame, seeds: Collection[int] = ()) -> pd.DataFrame:
    """Return one row per network, sorted by key, with columns `architecture, error, error_std, n, test_error,
    test_error_std, seconds, depth, params, macs, activations, latency_ms, confirmed`.

    Errors are means over seeds of complete trials, with the sample standard deviation (n - 1), NaN for one seed; `n`
    counts trials. A pruned trial is censored, so it is not part of any mean. A network with several recipes has the
    numbers of its best one, which the column `training` names.

    Args:
        frame: `Store.results()`.
        seeds: of fresh trials. A network that has completed all of them is confirmed, and its numbers are over them
            alone, since the trials by which it was chosen are biased: they were the luckiest of many. Without seeds no
            network is confirmed.
    """
    return network_means(relevant_trials(frame, seeds))


def relevant_trials(frame: pd.DataFrame, seeds: Collection[int] = ()) -> pd.DataFrame:
    """Return the trials that enter the means, sorted by network and seed, with the column `confirmed`.

    Of a network with several recipes, these are the trials of its best one; see `at_best_recipe`.
    """
    frame = at_best_recipe(sorted_trials(frame), seeds)
    fresh = frame["seed"].isin(list(seeds))
    found = frame["seed"].where(fresh).groupby(frame["architecture"]).transform("nunique")
    confirmed = (found == len(set(seeds))) & bool(seeds)
    return frame.assign(confirmed=confirmed)[fresh | ~confirmed]


def at_best_recipe(frame: pd.DataFrame, seeds: Collection[int] = ()) -> pd.DataFrame:
    """Return the trials of each network that have its best recipe, by the column `training`.

    That is the recipe with the lowest mean validation error over the seeds that are not fresh: only the recipe that is
    chosen by them is trained with fresh ones, and a mean over these would be compared with luckier ones.
    """
    import pandas as pd

    if "training" not in frame or not len(frame):
        return frame
    pair = ["architecture", "training"]
    if frame[pair].drop_duplicates()["architecture"].is_unique:
        return frame
    chosen_by = frame[~frame["seed"].isin(list(seeds))]
    errors = chosen_by.groupby(pair)["validation_error"].mean().reset_index()
    # Those with fresh seeds only come last.
    last = frame[pair].drop_duplicates().assign(validation_error=float("inf"))
    ranked = pd.concat([errors, last]).sort_values(["validation_error", "training"], kind="stable")
    best = ranked.drop_duplicates("architecture").set_index("architecture")["training"]
    return frame[frame["training"] == frame["architecture"].map(best)]


def sorted_trials(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame sorted by network and seed. The store's already is, and checking is cheaper than sorting."""
    same = frame["architecture"].eq(frame["architecture"].shift())
    back = (frame["seed"].diff() < 0) | (frame["seed"].diff() == 0) & (frame["validation_error"].diff() < 0)
    if frame["architecture"].is_monotonic_increasing and not (same & back).any():
        return frame
    return frame.sort_values(["architecture", "seed", "validation_error"], kind="stable")


def network_means(trials: pd.DataFrame) -> pd.DataFrame:
    """Return means and standard deviations of the trials from `relevant_trials`."""
    same = [*COSTS, *(["training"] if "training" in trials else [])]
    return (
        trials.groupby("architecture", sort=True)
        .agg(
            error=("validation_error", "mean"),
            error_std=("validation_error", "std"),
            n=("validation_error", "size"),
            test_error=("test_error", "mean"),
            test_error_std=("test_error", "std"),
            seconds=("seconds", "mean"),
            **{name: (name, "first") for name in same},
            confirmed=("confirmed", "first"),
        )
        .reset_index()
    )
