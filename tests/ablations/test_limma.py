"""Variances shared between arms, and their t and p, next to those of limma, which has the same model for genes.

`tests/golden/limma.csv` has what limma 3.54.1 (Ritchie et al. 2015) finds in the values of `values` with R 4.2.2:
`eBayes(lmFit(x, matrix(1, 4, 1)), robust = FALSE)` in the rows `plain`, and `robust = TRUE` (Phipson et al. 2016) in
the rows `robust`, for every tenth gene and for the outliers.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ablations import moderated
from ablations.moderated import Mixture, Moderated
from ablations.scales import Logarithm

GENES, SEEDS, SCALE, DEGREES, OUTLIERS = 200, 4, 0.05, 4, 6
PRIOR = {"plain": (0.05023156848, 4.060918412), "robust": (0.05911783169, 4.337627380)}
"""limma's s2.prior and, of genes that are no outliers, df.prior."""
with (Path(__file__).parent.parent / "golden" / "limma.csv").open(encoding="utf-8", newline="") as file:
    ROWS = [
        {name: value if name == "case" else float(value) for name, value in row.items()} for row in csv.DictReader(file)
    ]

Floats = NDArray[np.float64]


def values(outliers: int) -> Floats:
    """Logarithms, (genes, seeds): variances are quantiles of SCALE * F(3, DEGREES), means those of a normal one.

    The first genes are outliers, with 100, 200, ... times the median variance.
    """
    gene = np.arange(GENES)
    variances = SCALE * stats.f.ppf((gene + 0.5) / GENES, SEEDS - 1, DEGREES)
    variances[:outliers] = variances[GENES // 2] * 100 * (1 + np.arange(outliers))
    means = 0.4 * stats.norm.ppf((gene * 77 % GENES + 0.5) / GENES)
    pattern = np.linspace(-1, 1, SEEDS) / np.linspace(-1, 1, SEEDS).std(ddof=1)
    return np.asarray(means[:, None] + np.sqrt(variances)[:, None] * pattern)


def shared(case: str) -> Moderated:
    made = np.exp(values(OUTLIERS if case == "robust" else 0))
    return Moderated({str(gene): dict(enumerate(row.tolist())) for gene, row in enumerate(made)}, Logarithm(1e-6))


@cache
def ours(case: str) -> tuple[list[Mixture], float]:
    """The means of the table's genes with their uncertainty, and the mean prior degrees of freedom."""
    arms = shared(case)
    degrees = float(arms._weights @ arms._degrees[:, 0]) - (SEEDS - 1)
    return [arms.contrast({str(gene): 1.0}) for gene in column(case, "gene").astype(int).tolist()], degrees


def column(case: str, name: str) -> Floats:
    return np.array([row[name] for row in ROWS if row["case"] == case], dtype=float)


def compared(case: str) -> dict[str, Floats]:
    """Ours over limma's: posterior variances, t, and logarithms of p."""
    found, _ = ours(case)
    return {
        "variance": np.array([SEEDS * each.error**2 for each in found]) / column(case, "variance_posterior"),
        "t": np.array([each.delta / each.error for each in found]) / column(case, "t"),
        "log p": np.log([each.p for each in found]) / np.log(column(case, "p")),
    }


@pytest.mark.parametrize("case", PRIOR)
def test_the_values_are_those_of_the_table(case: str) -> None:
    arms = shared(case)
    assert arms.variances[column(case, "gene").astype(int)] == pytest.approx(column(case, "variance"), rel=1e-6)


def test_without_outliers_variances_t_and_p_are_those_of_limma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderated, "OUTLIERS", 1e-12)
    ours.cache_clear()
    _, degrees = ours("plain")
    found = compared("plain")
    ours.cache_clear()
    assert degrees == pytest.approx(PRIOR["plain"][1], rel=0.02)
    assert found["variance"] == pytest.approx(np.ones(20), rel=0.01)
    assert found["t"] == pytest.approx(np.ones(20), rel=0.005)
    assert found["log p"] == pytest.approx(np.ones(20), rel=0.03)


def test_that_an_arm_can_be_an_outlier_changes_only_the_largest_variances() -> None:
    found = compared("plain")
    assert found["variance"][:-1] == pytest.approx(np.ones(19), rel=0.1)
    assert found["t"][:-1] == pytest.approx(np.ones(19), rel=0.05)


def test_variances_of_usual_arms_and_of_outliers_are_those_of_limma_with_robust_estimates() -> None:
    found, (_, degrees) = compared("robust"), ours("robust")
    usual = column("robust", "gene") >= OUTLIERS
    assert degrees == pytest.approx(PRIOR["robust"][1], rel=0.35)
    assert found["variance"][usual] == pytest.approx(np.ones(usual.sum()), rel=0.13)
    assert found["t"][usual] == pytest.approx(np.ones(usual.sum()), rel=0.07)
    assert found["variance"][~usual] == pytest.approx(np.ones(OUTLIERS), rel=0.07)
    own = column("robust", "variance")[~usual]
    assert column("robust", "variance_posterior")[~usual] == pytest.approx(own, rel=0.1), "both keep their variance"


def test_without_robust_estimates_outliers_would_change_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderated, "OUTLIERS", 1e-12)
    ours.cache_clear()
    found = compared("robust")["variance"]
    ours.cache_clear()
    assert min(found) < 0.75
