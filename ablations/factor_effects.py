"""Main effects and interactions of a design's factors, with what each cannot be told from."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ablations.designs import Design
from ablations.study import Ablation
from ablations.summary import ArmSummary
from ablations.variance import Term, analyse, unbalanced

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Term", "terms", "variance_notes"]

MOST_COLUMNS = 100
"""Coefficients of a linear model: more take minutes."""


def terms(study: Ablation, arms: Sequence[ArmSummary]) -> list[tuple[Term, tuple[str, ...]]]:
    """Each effect that the design can estimate, by analysis of variance with seeds as blocks, and its aliases.

    Empty where the design has no main effects, or nothing is measured yet.
    """
    table = _table(study, arms)
    design = study.compiled
    if design is None or not _of_means(design) or table.empty:
        return []
    found = analyse(table, list(study.factors), _estimable(study))
    aliases = {estimate.factors: estimate.aliases for estimate in design.estimates}
    return [(term, aliases[term.factors]) for term in found]


def _of_means(design: Design) -> bool:
    """Whether its effects are means over the other factors; simple ones are told as differences of two arms."""
    return all(estimate.arm is None for estimate in design.estimates)


def _estimable(study: Ablation) -> list[tuple[str, ...]]:
    """The effects that are analysed: from main effects on, as long as they take at most `MOST_COLUMNS` coefficients."""
    assert study.compiled is not None
    chosen: list[tuple[str, ...]] = []
    columns = 0
    for estimate in study.compiled.estimates:
        columns += prod(len(study.factors[name].choices) - 1 for name in estimate.factors)
        if columns > MOST_COLUMNS and chosen:
            break
        chosen.append(estimate.factors)
    return chosen


def variance_notes(study: Ablation, arms: Sequence[ArmSummary]) -> list[str]:
    """What the effects rest on: the design's aliases, and cells that lack a seed."""
    if study.compiled is None or not _of_means(study.compiled):
        return []
    table = _table(study, arms)
    left_out = len(study.compiled.estimates) - len(_estimable(study))
    lacking = "" if table.empty else unbalanced(table, list(study.factors), "seed")
    return [
        "effect: mean at the second level less that at the first, over all other factors; seeds are blocks.",
        *study.compiled.notes,
        *([f"{left_out} interactions are left out, for they have too many coefficients"] if left_out else []),
        *([f"not balanced: {lacking}"] if lacking else []),
    ]


def _table(study: Ablation, arms: Sequence[ArmSummary]) -> pd.DataFrame:
    """One row an arm and seed: its factors' levels, in the study's order, the seed, and the error."""
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
