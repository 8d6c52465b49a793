"""Effects of a design's factors, as in the report: correct size and sign, with their aliases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from simulated_arms import mean_errors
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ablations.factor_effects import effects as effects_of
from ablations.outcomes import Outcomes
from ablations.run import AblationRun
from ablations.scales import LogOdds
from ablations.study import Ablation
from reports import markdown
from reports.document.arm_tables import effects
from resnet_space.api import document

Make = Callable[..., AblationRun]
ORDERS, BIASES = ("original", "full_preactivation"), ("-6", "0")
FACTORS = {
    "order": {"path": "unit.order", "levels": list(ORDERS)},
    "bias": {"path": "unit.shortcut.gate_bias", "levels": [-6.0, 0.0]},
}
GATED = {"width": 0.25, "stages.*.units": 1, "unit.shortcut": {"kind": "exclusive_gate"}}
WOBBLE = (0.001, -0.002, 0.001)


def cells(effect: Callable[[str, str], float]) -> dict[str, list[Any]]:
    """The errors of the cells of a factorial, over three seeds."""
    noise = {"original": 1, "full_preactivation": -1}
    return {
        f"{order}, bias={bias}": [effect(order, bias) + noise[order] * wobble for wobble in WOBBLE]
        for order, bias in product(ORDERS, BIASES)
    }


@pytest.mark.parametrize("baseline", [{}, {"order": "full_preactivation", "bias": 0.0}])
def test_a_main_effect_is_the_second_level_minus_the_first_for_every_baseline(
    baseline: dict[str, Any], ablation: Make
) -> None:
    errors = cells(lambda order, bias: 0.1 + 0.05 * (order == "full_preactivation") - 0.02 * (bias == "0"))
    run = ablation(errors, factors=FACTORS, design="factorial", baseline=baseline, set=GATED)
    found = {" x ".join(term.factors): term for term in run.effects}
    assert found["order"].effect == pytest.approx(0.05)
    assert found["bias"].effect == pytest.approx(-0.02)
    assert found["order x bias"].effect == pytest.approx(0, abs=1e-9)
    assert found["order"].p is not None
    assert found["order"].p < 0.01


def test_an_interaction_is_half_the_difference_of_differences(ablation: Make) -> None:
    errors = cells(lambda order, bias: 0.1 + 0.06 * (order == "full_preactivation" and bias == "0"))
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED)
    found = {" x ".join(term.factors): term.effect for term in run.effects}
    assert found == {key: pytest.approx(0.03) for key in ("order", "bias", "order x bias")}


def test_the_effects_of_a_balanced_factorial_share_the_variation_between_its_cells(ablation: Make) -> None:
    """Against the sums of squares of type II in statsmodels, on the log odds of the cells."""
    errors = cells(lambda order, bias: 0.1 + 0.05 * (order == "full_preactivation") - 0.02 * (bias == "0"))
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED)
    shares = {" x ".join(effect.factors): effect.share for effect in run.effects}
    assert sum(shares.values()) == pytest.approx(1)
    rows = [
        {
            "order": order,
            "bias": bias,
            "x": run.outcomes.scale.forward(np.array(errors[f"{order}, bias={bias}"])).mean(),
        }
        for order, bias in product(ORDERS, BIASES)
    ]
    table = anova_lm(ols("x ~ C(order, Sum) + C(bias, Sum)", pd.DataFrame(rows)).fit(), typ=2)
    assert shares["order"] == pytest.approx(table["sum_sq"].iloc[0] / table["sum_sq"].sum())
    assert shares["bias"] == pytest.approx(table["sum_sq"].iloc[1] / table["sum_sq"].sum())


def test_a_factor_of_three_levels_has_an_f_and_no_single_effect(ablation: Make) -> None:
    factors = {"bias": {"path": "unit.shortcut.gate_bias", "levels": [-6.0, -3.0, 0.0]}, "order": FACTORS["order"]}
    errors = {
        f"bias={bias}, {order}": [0.05 * (place + 1) + wobble for wobble in WOBBLE]
        for (place, bias), order in product(enumerate(("-6", "-3", "0")), ORDERS)
    }
    run = ablation(errors, factors=factors, design="factorial", set=GATED)
    bias, order, _ = run.effects
    assert (bias.df, bias.effect, bias.low) == (2, None, None)
    assert bias.f is not None
    assert bias.p is not None
    assert bias.p < 0.01
    assert order.p is not None
    assert order.p > 0.1


def test_an_interval_of_an_effect_excludes_zero_exactly_if_its_adjusted_p_is_small(ablation: Make) -> None:
    rng = np.random.default_rng(3)
    for attempt in range(4):
        errors = cells(lambda order, bias: 0.1 + 0.02 * (order == "full_preactivation") + 0.01 * rng.standard_normal())
        run = ablation(errors, folder=f"{attempt}", factors=FACTORS, design="factorial", set=GATED)
        for effect in run.effects:
            assert effect.low is not None
            assert effect.high is not None
            assert effect.p_adjusted is not None
            assert (effect.low > 0 or effect.high < 0) == (effect.p_adjusted <= 0.05)


def test_with_one_seed_there_are_effects_and_no_tests(ablation: Make) -> None:
    errors = {name: values[:1] for name, values in cells(lambda order, bias: 0.1 + 0.02 * (bias == "0")).items()}
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED, seeds=1)
    assert [(effect.f, effect.p) for effect in run.effects] == [(None, None)] * 3
    assert run.effects[1].effect == pytest.approx(0.02)


def test_spreads_that_differ_widely_are_noted(ablation: Make) -> None:
    errors = cells(lambda order, bias: 0.1)
    assert not any(note.startswith("spreads differ") for note in _notes(ablation, errors, "alike"))
    errors["original, bias=0"] = [0.02, 0.1, 0.3]
    (note,) = (note for note in _notes(ablation, errors, "apart") if note.startswith("spreads differ"))
    assert "of original, bias=0 is" in note


def _notes(ablation: Make, errors: dict[str, list[Any]], folder: str) -> list[str]:
    return ablation(errors, folder=folder, factors=FACTORS, design="factorial", set=GATED).effect_notes


@pytest.mark.slow
@pytest.mark.parametrize(("degrees", "seeds"), [(1, 3), (1, 5), (4, 2)])
def test_the_size_of_an_effect_holds_although_spreads_differ_a_hundredfold(degrees: float, seeds: int) -> None:
    """150 designs of eight equal cells, seven effects each: at most 6 %, and Monte-Carlo error."""
    factors = {**FACTORS, "transition": {"path": "transition", "levels": ["A", "B"]}}
    base = {"name": "made", "net": "resnet20", "data": "digits", "recipe": "digits", "seeds": seeds}
    study = Ablation.of({**base, "set": GATED, "factors": factors, "design": "factorial"})
    assert study.compiled is not None
    names = [cell.name for cell in study.compiled.cells]
    rng = np.random.default_rng(0)
    small = []
    for _ in range(150):
        spreads = 0.15 * np.sqrt(degrees / rng.chisquare(degrees, (len(names), 1)))
        errors = rng.binomial(359, expit(logit(0.05) + spreads * rng.standard_normal((len(names), seeds)))) / 359
        values = {name: dict(enumerate(row)) for name, row in zip(names, errors.tolist(), strict=True)}
        found = effects_of(study, Outcomes(values, {name: {} for name in names}, LogOdds(359)))
        small.append([effect.p is not None and effect.p <= 0.05 for effect in found])
    assert np.mean(small) <= 0.06 + 2 * np.sqrt(0.06 * 0.94 / len(small))


@pytest.mark.parametrize(("degrees", "seeds"), [(1, 5), (4, 3)])
def test_intervals_contain_the_true_effect_in_points(degrees: float, seeds: int) -> None:
    """40 designs of four cells, one factor of which changes the log odds by 1."""
    base = {"name": "made", "net": "resnet20", "data": "digits", "recipe": "digits", "seeds": seeds}
    study = Ablation.of(
        {**base, "set": GATED, "factors": FACTORS, "design": "factorial", "planned": {"adjust": "none"}}
    )
    assert study.compiled is not None
    names = [cell.name for cell in study.compiled.cells]
    second = {
        name: np.array([cell.levels[name] == list(study.factors[name].choices)[1] for cell in study.compiled.cells])
        for name in FACTORS
    }
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(40):
        spreads = 0.15 * np.sqrt(degrees / rng.chisquare(degrees, len(names)))
        centres = logit(rng.uniform(0.02, 0.3)) + second["order"]
        rates = expit(centres[:, None] + spreads[:, None] * rng.standard_normal((len(names), seeds)))
        errors = rng.binomial(359, rates) / 359
        values = {name: dict(enumerate(row)) for name, row in zip(names, errors.tolist(), strict=True)}
        for effect in effects_of(study, Outcomes(values, {name: {} for name in names}, LogOdds(359))):
            sign = np.prod([np.where(second[name], 1, -1) for name in effect.factors], axis=0)
            true = float(sign @ mean_errors(centres, spreads)) * 2 / len(names)
            assert effect.low is not None
            assert effect.high is not None
            inside.append(effect.low <= true <= effect.high)
    assert np.mean(inside) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(inside))


def test_a_cell_that_lacks_a_seed_is_named(ablation: Make) -> None:
    errors = cells(lambda order, bias: 0.1)
    errors["original, bias=-6"][1] = "failed"
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED)
    (note,) = (note for note in run.effect_notes if note.startswith("not balanced"))
    assert "order=original, bias=-6" in note


def test_a_fraction_reports_the_aliases_of_its_effects(ablation: Make) -> None:
    factors = {**FACTORS, "transition": {"path": "transition", "levels": ["A", "B"]}}
    design = {"kind": "fractional", "generators": ["C=AB"]}
    names = [
        f"{order}, bias={bias}, {'A' if (order == 'original') == (bias == '-6') else 'B'}"
        for order, bias in product(ORDERS, BIASES)
    ]
    # Cells are chosen so that the baseline, all first levels, is one of them: C = -AB.
    errors = {name: [0.1 + wobble for wobble in WOBBLE] for name in names}
    run = ablation(errors, factors=factors, design=design, set=GATED)
    table = effects(run)
    assert table is not None
    aliases = {row[0].text: row[-1].text for row in table.rows}
    assert aliases["order"] == "bias x transition"
    assert "defining relation: I = " in markdown.render(document(run))


def test_a_design_with_simple_effects_has_no_main_effects(ablation: Make) -> None:
    errors = {"baseline": [0.1, 0.11, 0.12], "order=full_preactivation": [0.2, 0.22, 0.21], "bias=0": [0.1, 0.1, 0.1]}
    run = ablation(errors, factors=FACTORS, design="one_at_a_time", set=GATED)
    assert run.effects == []
    assert [found.arm for found in run.findings] == ["order=full_preactivation", "bias=0"]
