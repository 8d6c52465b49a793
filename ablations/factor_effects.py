"""Main effects and interactions of a design's factors, each with its aliases.

An effect is a contrast of the cells' means on the scale of `outcomes`, log odds for errors. Its test does not assume
equal spreads: cells have variances of their own, shared as in `moderated`, and the seeds are the only source of error.
The columns of a term are those of `variance`; the part of them that is orthogonal to the terms without it (type II)
gives its contrasts. p-values are adjusted over all effects of the design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ablations.cells import columns, describe_imbalance, product_columns
from ablations.designs import Design
from ablations.moderated import Moderated
from ablations.outcomes import Outcomes
from ablations.scales import Floats
from ablations.study import Ablation
from ablations.transformed import Transformed

if TYPE_CHECKING:
    import pandas as pd

MAX_COEFFICIENTS = 100
"""The maximum number of coefficients of the linear model; more take minutes."""
UNEQUAL = 4.0
"""Standard deviations of cells whose ratio is larger are reported as unequal."""
NOISE = 1e-9
"""Smaller singular values, relative to the largest, are rounding errors."""


@dataclass(frozen=True)
class Effect:
    """A main effect, or an interaction of several factors."""

    factors: tuple[str, ...]
    aliases: tuple[str, ...]
    df: int
    """The number of contrasts; 0 if the cells with results cannot distinguish the effect from others."""
    f: float | None
    """Wald's F; None if df is 0, or with fewer than two seeds."""
    p: float | None
    p_adjusted: float | None
    share: float
    """The share of the variation between the cells' means that the effect explains, 0 to 1."""
    effect: float | None
    """For two-level factors: the mean at the second level minus the mean at the first; None for others.

    For an interaction of two factors, half the difference of the effects of one factor at the two levels of the other;
    for three factors, half the difference of such interactions, and so on.
    """
    low: float | None
    """The interval at the level of the effect's own test: it excludes 0 exactly if the adjusted p is at most alpha."""
    high: float | None


def effects(study: Ablation, outcomes: Outcomes) -> list[Effect]:
    """Return each effect that the design can estimate, over the seeds that every arm was given.

    Empty if the design has no main effects, or if there are no results yet.
    """
    design = study.compiled
    if design is None or not _has_mean_effects(design):
        return []
    shared = outcomes.first(study.least_seeds)
    cells = {cell.name: cell.levels for cell in design.cells if shared.values.get(cell.name)}
    if not cells:
        return []
    model = _Model(study, shared, _table(study, cells))
    aliases = {estimate.factors: estimate.aliases for estimate in design.estimates}
    chosen = _estimable(study)
    tested = [model.test(factors, chosen) for factors in chosen]
    adjustment, alpha = study.planned.adjustment, study.planned.alpha
    ps = [each.p for each in tested]
    return [
        model.effect(factors, aliases[factors], test, p_adjusted, level)
        for factors, test, p_adjusted, level in zip(
            chosen, tested, adjustment.adjusted(ps), adjustment.levels(ps, alpha), strict=True
        )
    ]


@dataclass(frozen=True)
class _Tested:
    contrasts: Floats
    """(cells, df), orthonormal."""
    coefficients: Floats | None
    """(cells,): the contrast in the units of the effect, for two-level factors."""
    f: float | None = None
    p: float | None = None
    single: Transformed | None = None
    """The contrast, for two-level factors."""


class _Model:
    """The linear model of the cells' means."""

    def __init__(self, study: Ablation, outcomes: Outcomes, table: pd.DataFrame) -> None:
        self.scale, self.names = outcomes.scale, table["cell"].tolist()
        self.values = [np.array(list(outcomes.values[name].values())) for name in self.names]
        self.means = np.array([self.scale.forward(values).mean() for values in self.values])
        self.raw = np.array([values.mean() for values in self.values])
        self.coded = {name: columns(table[name]) for name in study.factors}
        self.arms = Moderated({name: outcomes.values[name] for name in self.names}, self.scale)
        self.known = len(self.arms.names) == len(self.names)

    def test(self, factors: tuple[str, ...], terms: Sequence[tuple[str, ...]]) -> _Tested:
        own = product_columns([self.coded[name] for name in factors])
        others = [
            product_columns([self.coded[name] for name in other]) for other in terms if not set(factors) <= set(other)
        ]
        base = np.column_stack([np.ones(len(self.names)), *others])
        rest = own - base @ np.linalg.lstsq(base, own, rcond=None)[0]
        u, sizes, _ = np.linalg.svd(rest, full_matrices=False)
        contrasts = u[:, sizes > NOISE * max(1.0, float(np.abs(own).max()))]
        if not contrasts.shape[1]:
            return _Tested(contrasts, None)
        single = own.shape[1] == 1
        coefficients = 2 * rest[:, 0] / (rest[:, 0] @ rest[:, 0]) if single else None
        if not self.known:
            return _Tested(contrasts, coefficients)
        if coefficients is not None:
            by_cell = dict(zip(self.names, coefficients.tolist(), strict=True))
            found = self.arms.contrast(by_cell)
            raw = dict(zip(self.names, self.raw.tolist(), strict=True))
            single = Transformed.of(self.arms, self.scale, found, by_cell, raw)
            return _Tested(contrasts, coefficients, (found.delta / found.error) ** 2, found.p, single)
        return _Tested(contrasts, None, *self.arms.joint(self.names, contrasts))

    def effect(
        self,
        factors: tuple[str, ...],
        aliases: tuple[str, ...],
        test: _Tested,
        p_adjusted: float | None,
        level: float,
    ) -> Effect:
        around = self.means - self.means.mean()
        total = float(around @ around)
        part = test.contrasts.T @ self.means
        effect = low = high = None
        if test.coefficients is not None:
            effect = float(test.coefficients @ self.raw)
            if test.single is not None:
                low, high = test.single.interval(1 - level)
        return Effect(
            factors=factors,
            aliases=aliases,
            df=test.contrasts.shape[1],
            f=test.f,
            p=test.p,
            p_adjusted=p_adjusted,
            share=float(part @ part) / total if total > 0 else 0.0,
            effect=effect,
            low=low,
            high=high,
        )


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


def effect_notes(study: Ablation, outcomes: Outcomes) -> list[str]:
    """Return notes on the effects: their definition, unequal spreads, the design's aliases, and missing cells."""
    if study.compiled is None or not _has_mean_effects(study.compiled):
        return []
    shared = outcomes.first(study.least_seeds)
    left_out = len(study.compiled.estimates) - len(_estimable(study))
    rows = [
        {**cell.levels, "cell": cell.name, "seed": seed}
        for cell in study.compiled.cells
        for seed in shared.values.get(cell.name, {})
    ]
    lacking = describe_imbalance(_frame(study, rows, "cell", "seed"), list(study.factors), "seed") if rows else ""
    return [
        "effect: the mean at the second level minus the mean at the first, over all other factors. Each cell has a "
        f"variance of its own; p is adjusted {study.planned.adjustment.holds}, all effects of this table.",
        *_unequal(shared),
        *study.compiled.notes,
        *([f"{left_out} interactions are left out, since they have too many coefficients"] if left_out else []),
        *([f"not balanced: {lacking}"] if lacking else []),
    ]


def _unequal(outcomes: Outcomes) -> list[str]:
    """A note if spreads of arms differ by more than `UNEQUAL`, on the scale of the outcomes."""
    spreads = {
        name: float(outcomes.scale.forward(np.array(list(values.values()))).std(ddof=1))
        for name, values in outcomes.values.items()
        if len(values) > 1
    }
    if len(spreads) < 2:
        return []
    low, high = min(spreads, key=spreads.__getitem__), max(spreads, key=spreads.__getitem__)
    if spreads[high] <= UNEQUAL * spreads[low]:
        return []
    scale = "log odds" if outcomes.measure.split else "logarithms"
    times = f"{spreads[high] / spreads[low]:.0f} times that" if spreads[low] else "and that"
    return [f"spreads differ: the standard deviation over seeds of {high} is {times} of {low}, in {scale}."]


def _table(study: Ablation, cells: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """One row per cell: the levels of the factors, in the study's order, and its name."""
    return _frame(study, [{**levels, "cell": name} for name, levels in cells.items()], "cell")


def _frame(study: Ablation, rows: Sequence[Mapping[str, object]], *more: str) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows, columns=[*study.factors, *more])
    ordered = {name: pd.CategoricalDtype(list(factor.choices)) for name, factor in study.factors.items()}
    return table.astype(ordered)
