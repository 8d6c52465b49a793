"""The agreement between our ranking of arms and the published one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ablations.analyses import Analyses
from ablations.contrasts import Contrast
from ablations.outcomes import Outcomes
from ablations.study import Ablation
from ablations.summary import WORST, ArmSummary

MIN_ARMS, MIN_SEEDS = 5, 3
"""With fewer arms, or fewer seeds of an arm, there is no interval."""


@dataclass(frozen=True)
class Agreement:
    """How many pairs of arms that differ both here and in the paper are in the same order.

    Two arms differ here if the study's test says so at its alpha, for this pair alone, and in the paper if their errors
    differ; published failures have no number and tie as worst. `tau` is Kendall's over its maximum, which ties of the
    published errors keep below 1: (concordant - discordant) / (both) over all pairs that differ in the paper. Its
    interval is over bootstrap draws of our seeds, within each arm.
    """

    concordant: int
    pairs: int
    tau: float
    arms: int
    low: float | None = None
    high: float | None = None


def agreement(
    study: Ablation, outcomes: Outcomes, summaries: Sequence[ArmSummary], *, draws: int = 500, seed: int = 0
) -> Agreement | None:
    """Return the agreement over arms with both results; None if no pair of them differs both here and in the paper.

    `outcomes` are test errors, since these are what papers print.
    """
    theirs = {
        arm.arm: error for arm in summaries if (error := _published(arm)) is not None and outcomes.values[arm.arm]
    }
    pairs = [(a, b) for a, b in combinations(theirs, 2) if theirs[a] != theirs[b]]
    analyses = Analyses(study, {outcomes.measure: outcomes})
    sure = [
        (a, b)
        for a, b in pairs
        if (p := analyses.of(Contrast(arm=a, versus=b, measure="test_error")).p) is not None
        and p <= study.planned.alpha
    ]
    if not sure:
        return None
    values = {arm: np.array(list(outcomes.values[arm].values())) for arm in theirs}
    signs = np.sign([theirs[a] - theirs[b] for a, b in pairs])
    places = np.array([[list(theirs).index(arm) for arm in pair] for pair in pairs])

    def tau(means: np.ndarray) -> float:
        ours = np.sign(means[places[:, 0]] - means[places[:, 1]]) * signs
        return float(ours.sum() / max(np.count_nonzero(ours), 1))

    found = tau(np.array([each.mean() for each in values.values()]))
    known = set(sure)
    same = [
        signs[place] == np.sign(values[a].mean() - values[b].mean())
        for place, (a, b) in enumerate(pairs)
        if (a, b) in known
    ]
    result = Agreement(int(sum(same)), len(same), found, len(theirs))
    if len(theirs) < MIN_ARMS or min(map(len, values.values())) < MIN_SEEDS:
        return result
    rng = np.random.default_rng(seed)
    drawn = [tau(np.array([rng.choice(each, len(each)).mean() for each in values.values()])) for _ in range(draws)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Agreement(
        result.concordant, result.pairs, found, result.arms, min(float(low), found), max(float(high), found)
    )


def _published(arm: ArmSummary) -> float | None:
    if arm.published is None:
        return None
    return WORST if arm.published.fails else arm.published.error
