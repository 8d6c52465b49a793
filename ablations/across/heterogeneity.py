"""A comparison over data sets: a random-effects combination in which every data set counts the same.

On data set i a comparison has the difference y_i, measured with standard error s_i:

    y_i ~ N(θ_i, s_i²)        θ_i ~ N(μ, τ²)

Data sets are not repetitions of one experiment. τ is how much the true difference varies between them, and μ is its
mean over data sets like these. μ is estimated by the mean of the k differences, with the interval of Hartung and Knapp
(2001, Statistics in Medicine 20, 3875-3889) and Sidik and Jonkman (2002, Statistics in Medicine 21, 3153-3159) for
equal weights:

    m = Σ y_i / k        m ± t(k - 1) * std / √k        std² = Σ (y_i - m)² / (k - 1)

Equal weights and not the usual 1 / (s_i² + τ²): with a few seeds the s_i are hardly known, and weights made of them
favour data sets whose spread is small by chance. In simulated studies (2 to 10 data sets; 3 or 5 seeds; τ of 0, 0.5 and
2 standard deviations over seeds; that deviation equal on all data sets, or lognormal; 8,000 studies for each
combination), a 95 % interval missed μ in this share of studies, from the best to the worst combination:

    equal weights .02-.06    weights from seeds: Hartung-Knapp .05-.28, DerSimonian-Laird .05-.31

If the s_i differ, Student's t errs on the safe side (Bakirov and Székely 2006, Journal of Mathematical Sciences 139,
6497-6505).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from ablations.effects import Difference
from resnet_space.errors import InputError

MIN_PREDICTED = 3
"""With fewer data sets there is no prediction interval: it would have at most one degree of freedom."""


@dataclass(frozen=True)
class Heterogeneity:
    """How much differences vary between data sets, beyond what their standard errors explain."""

    q: float
    """Cochran's Q = Σ (y_i - c)² / s_i², with c the mean of the y_i weighted by 1 / s_i². Cochran 1954, Biometrics 10,
    101-129."""
    p: float
    """For H0: τ = 0, from χ² with k - 1 degrees of freedom."""
    i2: float
    """I² = max(0, 1 - (k - 1) / Q), the share of the variance that is between data sets. Higgins and Thompson 2002,
    Statistics in Medicine 21, 1539-1558."""
    tau: float
    """τ by Paule and Mandel 1982 (Journal of Research of the National Bureau of Standards 87, 377-385): the τ for which
    Σ w_i (y_i - c)² = k - 1, with w_i = 1 / (s_i² + τ²); 0 if there is none."""


def heterogeneity(differences: Sequence[float], errors: Sequence[float]) -> Heterogeneity:
    """Return the heterogeneity of the differences of at least two data sets, given their standard errors.

    Raises:
        InputError: fewer than two differences, one that is not finite, or a standard error that is not above 0.
    """
    from scipy import stats
    from statsmodels.stats.meta_analysis import combine_effects

    if len(differences) < 2:
        raise InputError(f"{len(differences)} data sets; heterogeneity needs at least 2")
    for y, s in zip(differences, errors, strict=True):
        if not (isfinite(y) and isfinite(s) and s > 0):
            raise InputError(f"a difference of {y} with standard error {s}: must be finite, with an error above 0")
    # In units of the smallest error, and around the first difference: so rounding does not depend on their size.
    unit, k = min(errors), len(differences)
    effects, variances = (np.array(differences) - differences[0]) / unit, (np.array(errors) / unit) ** 2
    with np.errstate(divide="ignore"):  # its own I² divides by Q, which can be 0
        found = combine_effects(effects, variances, method_re="pm")
    q = max(0.0, float(found.q))
    return Heterogeneity(
        q=q,
        p=float(stats.chi2.sf(q, k - 1)),
        i2=max(0.0, 1 - (k - 1) / q) if q else 0.0,
        tau=sqrt(float(found.tau2)) * unit,
    )


def prediction(over_sets: Difference) -> tuple[float, float] | None:
    """Return m ± t(k - 1) * std * √(1 + 1/k), the interval of the difference that a further data set would show.

    None below `MIN_PREDICTED` data sets.

    Args:
        over_sets: the difference over data sets, each of which is one pair.
    """
    from scipy import stats

    if over_sets.n < MIN_PREDICTED or over_sets.delta is None or over_sets.std is None:
        return None
    half = float(stats.t.isf(0.025, over_sets.n - 1)) * over_sets.std * sqrt(1 + 1 / over_sets.n)
    return over_sets.delta - half, over_sets.delta + half
