"""The results of runs as data frames, for Python: arms, networks, comparisons, trials, epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ablations.across.run import RunAcross
from ablations.findings import Finding
from ablations.run import AblationRun
from ablations.tuning.run import TunedRun
from reports import across, arms, tuned
from search.exploring.run import SearchRun
from search.trials.record import TrialRecord

OF_TRIALS = (
    "key",
    "architecture",
    "seed",
    "status",
    "reason",
    "validation_error",
    "test_error",
    "top5_error",
    "depth",
    "params",
    "macs",
    "seconds",
    "latency_ms",
    "host",
    "device",
    "started",
    "finished",
)
"""Columns of trials after their names, which are fields of `TrialRecord`."""

OF_FINDINGS = ("arm", "versus", "measure", "planned", "delta", "delta_low", "delta_high", "p", "p_adjusted", "verdict")


def arms_of(run: AblationRun) -> pd.DataFrame:
    """Return one row per arm; the columns are those of its CSV."""
    return pd.DataFrame(arms.rows(run), columns=list(arms.columns(run)))


def arms_across(run: RunAcross) -> pd.DataFrame:
    """Return one row per data set and arm."""
    return pd.DataFrame(across.rows_of_arms(run), columns=list(across.columns_of_arms(run)))


def networks_of(run: SearchRun) -> pd.DataFrame:
    """Return one row per network with a complete trial: means over seeds, and whether it is on the front."""
    found = run.networks
    return found.assign(on_front=found["architecture"].isin([point.key for point in run.front]))


def findings_of(run: AblationRun) -> pd.DataFrame:
    """Return one row per comparison, planned ones first. Differences are fractions, or in the measure's unit."""
    return pd.DataFrame([_finding(found) for found in run.findings], columns=list(OF_FINDINGS))


def _finding(found: Finding) -> dict[str, Any]:
    seen = found.difference
    return {
        "arm": found.arm,
        "versus": found.versus,
        "measure": found.measure.name,
        "planned": found.planned,
        "delta": seen.delta,
        "delta_low": seen.low,
        "delta_high": seen.high,
        "p": found.p,
        "p_adjusted": found.p_adjusted,
        "verdict": found.verdict,
    }


def findings_across(run: RunAcross) -> pd.DataFrame:
    """Return one row per comparison over data sets."""
    return pd.DataFrame(across.rows_of_comparisons(run), columns=list(across.COMPARED))


def trials_of(run: AblationRun) -> pd.DataFrame:
    """Return one row per trial, with the names of its arms; arms of one network share its trials."""
    return _trials(run.records, {"arm": _arms(run)})


def trials_across(run: RunAcross) -> pd.DataFrame:
    """Return one row per trial, with its data set and the names of its arms."""
    return _by_label({label: trials_of(part) for label, part in run.parts.items()})


def trials_searched(run: SearchRun) -> pd.DataFrame:
    """Return one row per trial, with the number of its proposal and the values of the axes; those of inactive ones, and
    of confirming trials, are empty."""
    asked = {record.key: record.proposal or {} for record in run.records}
    named: dict[str, Mapping[str, Any]] = {"proposal": {key: own.get("number") for key, own in asked.items()}}
    named |= {
        path: {key: own.get("assignment", {}).get(path) for key, own in asked.items()} for path in run.study.space.axes
    }
    return _trials(run.records, named)


def curves_of(run: AblationRun) -> pd.DataFrame:
    """Return one row per trial and epoch, with the names of its arms and its seed."""
    return _curves(run.curves, run.records, {"arm": _arms(run)})


def curves_across(run: RunAcross) -> pd.DataFrame:
    """Return one row per trial and epoch, with its data set."""
    return _by_label({label: curves_of(part) for label, part in run.parts.items()})


def arms_tuned(run: TunedRun) -> pd.DataFrame:
    """Return one row per arm at the shared recipe, then one per arm at its own."""
    return pd.DataFrame(tuned.rows_of_arms(run), columns=list(tuned.columns_of_arms(run)))


def findings_tuned(run: TunedRun) -> pd.DataFrame:
    """Return one row per comparison at the shared recipe, then at the arms' own."""
    return _by_label({label: findings_of(part) for label, part in run.parts.items()}, "recipe")


def trials_tuned(run: TunedRun) -> pd.DataFrame:
    """Return one row per trial at the shared recipe, then at the arms' own; those of the tuning are in `tuning`."""
    return _by_label({label: trials_of(part) for label, part in run.parts.items()}, "recipe")


def curves_tuned(run: TunedRun) -> pd.DataFrame:
    """Return one row per epoch of these trials."""
    return _by_label({label: curves_of(part) for label, part in run.parts.items()}, "recipe")


def tuning_of(run: TunedRun) -> pd.DataFrame:
    """Return one row per arm and recipe tried."""
    return pd.DataFrame(tuned.rows_of_tuning(run), columns=list(tuned.columns_of_tuning(run)))


def curves_searched(run: SearchRun) -> pd.DataFrame:
    """Return one row per trial and epoch, with its network's key and its seed."""
    return _curves(run.curves, run.records, {"architecture": {each.key: each.architecture for each in run.records}})


def _arms(run: AblationRun) -> dict[str, str]:
    """The names of each trial's arms, by the trial's key."""
    names: dict[str, list[str]] = {}
    for name, setup in run.setups.items():
        names.setdefault(setup.key, []).append(name)
    return {record.key: " = ".join(names[record.setup]) for record in run.records}


def _trials(records: Sequence[TrialRecord], named: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per trial; `named` has further columns, by trial key, which come first."""
    rows = [
        {column: values.get(record.key) for column, values in named.items()}
        | {name: getattr(record, name) for name in OF_TRIALS}
        for record in records
    ]
    return pd.DataFrame(rows, columns=[*named, *OF_TRIALS])


def _curves(
    curves: pd.DataFrame, records: Sequence[TrialRecord], named: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    seeds = {record.key: record.seed for record in records}
    first = {name: curves["key"].map(values) for name, values in {**named, "seed": seeds}.items()}
    return pd.concat([pd.DataFrame(first), curves], axis=1)


def _by_label(frames: Mapping[str, pd.DataFrame], column: str = "data") -> pd.DataFrame:
    labelled = [frame.assign(**{column: label})[[column, *frame.columns]] for label, frame in frames.items()]
    return pd.concat(labelled, ignore_index=True)
