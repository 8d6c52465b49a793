"""Main effects and interactions of a design's factors, each with its aliases."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ablations.designs import Design
from ablations.study import Ablation
from ablations.summary import ArmSummary
from ablations.variance import Term, analyse_variance, describe_imbalance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Term", "terms", "variance_notes"]

MAX_COEFFICIENTS = 100
"""The maximum number of coefficients of the linear model; more take minutes."""


def terms(study: Ablation, arms: Sequence[ArmSummary]) -> list[tuple[Term, tuple[str, ...]]]:
    """Return each effect that the design can estimate, by analysis of variance with seeds as blocks, with its aliases.

    Empty if the design has no main effects, or if there are no results yet.
    """
    table = _table(study, arms)
    design = study.compiled
    if design is None or not _has_mean_effects(design) or table.empty:
        return []
    found = analyse_variance(table, list(study.factors), _estimable(study))
    aliases = {estimate.factors: estimate.aliases for estimate in design.estimates}
    return [(term, aliases[term.factors]) for term in found]


def _has_mean_effects(design: Design) -> bool:
    """Whether a design's effects are means over the other factors, not simple effects (differences of two arms)."""
    return all(estimate.arm is None for estimate in design.estimates)


def _estimable(study: Ablation) -> list[tuple[str, ...]]:
    """The effects that are analysed: main effects first, as many as need at most `MAX_COEFFICIENTS` coefficients."""
    assert study.compiled is not None
    chosen: list[tuple[str, ...]] = []
    columns = 0
    for estimate in study.compiled.estimates:
        columns += prod(len(study.factors[name].choices) - 1 for name in estimate.factors)
        if columns > MAX_COEFFICIENTS and chosen:
            break
        chosen.append(estimate.factors)
    return chosen


def variance_notes(study: Ablation, arms: Sequence[ArmSummary]) -> list[str]:
    """Return notes on the effects: their definition, the design's aliases, and cells that lack a seed."""
    if study.compiled is None or not _has_mean_effects(study.compiled):
        return []
    table = _table(study, arms)
    left_out = len(study.compiled.estimates) - len(_estimable(study))
    lacking = "" if table.empty else describe_imbalance(table, list(study.factors), "seed")
    return [
        "effect: the mean at the second level minus the mean at the first, over all other factors; seeds are blocks.",
        *study.compiled.notes,
        *([f"{left_out} interactions are left out, since they have too many coefficients"] if left_out else []),
        *([f"not balanced: {lacking}"] if lacking else []),
    ]


def _table(study: Ablation, arms: Sequence[ArmSummary]) -> pd.DataFrame:
    """One row per arm and seed: the levels of the factors, in the study's order, the seed, and the error."""
    import pandas as pd

    levels = {cell.name: cell.levels for cell in study.compiled.cells} if study.compiled else {}
    rows = [
        {**levels[arm.arm], "seed": seed, "error": error}
        for arm in arms
        if arm.arm in levels
        for seed, error in arm.measured[study.planned.measure].items()
    ]
    table = pd.DataFrame(rows, columns=[*study.factors, "seed", "error"])
    ordered = {name: pd.CategoricalDtype(list(factor.choices)) for name, factor in study.factors.items()}
    return table.astype(ordered)
