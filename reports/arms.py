"""The arms of an ablation as CSV and Parquet, one row per arm, for other programs."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

from ablations.run import AblationRun
from reports import spreadsheet

COLUMNS: tuple[str, ...] = (
    "arm",
    "key",
    "n",
    "error_mean",
    "error_std",
    "versus",
    "planned",
    "delta",
    "delta_low",
    "delta_high",
    "boot_low",
    "boot_high",
    "p",
    "p_adjusted",
    "verdict",
    "outcome",
    "diverged",
    "failed",
    "open",
    "params",
    "macs",
    "published_error",
    "measure",
    "n_failed",
    "median",
    "low_images",
    "high_images",
)
"""Columns of CSV and Parquet. Errors and differences are fractions; missing values are empty.

`failed` counts trials that failed by a fault of the machine or the program; `n_failed` those that diverged or failed to
train, which are outcomes of the arm. `median` is over all outcomes. `open` is the number of waiting trials. Differences
are by the `measure` of the study. `delta_low` and `delta_high` are the interval over seeds, on these test images;
`low_images` and `high_images` the one over seeds and images, on images like these.
"""

OF_A_MEASURE = ("mean", "std", "n", "censored")


def columns(run: AblationRun) -> tuple[str, ...]:
    """Return the columns: `COLUMNS`, then those of `OF_A_MEASURE` for each further measure that the study shows.

    They are its mean, its standard deviation, and the numbers of seeds with a value and of censored ones.
    """
    more = [f"{measure.name}_{each}" for measure in run.study.shown_measures[1:] for each in OF_A_MEASURE]
    return (*COLUMNS, *more)


def rows(run: AblationRun) -> list[dict[str, Any]]:
    """Return one mapping per arm, in the study's order, with its first finding: the planned one if there is one."""
    made = []
    for arm in run.summaries:
        row: dict[str, Any] = {
            "arm": arm.arm,
            "key": arm.key,
            "n": arm.n,
            "error_mean": arm.mean,
            "error_std": arm.std,
            "outcome": arm.outcome,
            "diverged": arm.ended.get("diverged", 0),
            "failed": arm.ended.get("failed", 0),
            "open": arm.unfinished,
            "params": arm.params,
            "macs": arm.macs,
            "published_error": arm.published.error if arm.published else None,
            "n_failed": arm.failures,
            "median": arm.median,
            "measure": run.study.measure.name,
        }
        if found := run.finding_of(arm.arm):
            row |= {
                "versus": found.versus,
                "planned": found.planned,
                "delta": found.difference.delta,
                "delta_low": found.difference.low,
                "delta_high": found.difference.high,
                "boot_low": found.difference.boot_low,
                "boot_high": found.difference.boot_high,
                "p": found.p,
                "p_adjusted": found.p_adjusted,
                "verdict": found.verdict,
            }
            if both := run.image_interval(found):
                row |= {"low_images": both.low_images, "high_images": both.high_images}
        for measure in run.study.shown_measures[1:]:
            values, never = arm.values(measure), arm.censored.get(measure.name, ())
            mean, std = fmean(values) if values else None, stdev(values) if len(values) > 1 else None
            named = zip(OF_A_MEASURE, (mean, std, len(values), len(never)), strict=True)
            row |= {f"{measure.name}_{each}": value for each, value in named}
        made.append({name: row.get(name) for name in columns(run)})
    return made


def as_csv(run: AblationRun) -> str:
    return spreadsheet.text(columns(run), rows(run))


def as_parquet(run: AblationRun) -> bytes:
    return spreadsheet.parquet(columns(run), rows(run))
