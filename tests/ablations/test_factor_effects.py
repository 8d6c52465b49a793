"""Effects of a design's factors, as a report tells them: right in size and sign, with what they may be mistaken for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from ablations.run import AblationRun
from reports import markdown
from reports.document.arm_tables import terms
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
    """Errors of the factorial's cells, over three seeds."""
    noise = {"original": 1, "full_preactivation": -1}
    return {
        f"{order}, bias={bias}": [effect(order, bias) + noise[order] * wobble for wobble in WOBBLE]
        for order, bias in product(ORDERS, BIASES)
    }


@pytest.mark.parametrize("baseline", [{}, {"order": "full_preactivation", "bias": 0.0}])
def test_a_main_effect_is_the_second_level_less_the_first_whatever_the_baseline(
    baseline: dict[str, Any], ablation: Make
) -> None:
    errors = cells(lambda order, bias: 0.1 + 0.05 * (order == "full_preactivation") - 0.02 * (bias == "0"))
    run = ablation(errors, factors=FACTORS, design="factorial", baseline=baseline, set=GATED)
    found = {" x ".join(term.factors): term for term, _ in run.terms}
    assert found["order"].effect == pytest.approx(0.05)
    assert found["bias"].effect == pytest.approx(-0.02)
    assert found["order x bias"].effect == pytest.approx(0, abs=1e-9)
    assert found["order"].p is not None
    assert found["order"].p < 0.001


def test_an_interaction_is_half_the_difference_of_differences(ablation: Make) -> None:
    errors = cells(lambda order, bias: 0.1 + 0.06 * (order == "full_preactivation" and bias == "0"))
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED)
    found = {" x ".join(term.factors): term.effect for term, _ in run.terms}
    assert found == {key: pytest.approx(0.03) for key in ("order", "bias", "order x bias")}


def test_a_cell_that_lacks_a_seed_is_named(ablation: Make) -> None:
    errors = cells(lambda order, bias: 0.1)
    errors["original, bias=-6"][1] = "diverged"
    run = ablation(errors, factors=FACTORS, design="factorial", set=GATED)
    (note,) = (note for note in run.variance_notes if note.startswith("not balanced"))
    assert "order=original, bias=-6" in note


def test_a_fraction_says_what_its_effects_may_be_mistaken_for(ablation: Make) -> None:
    factors = {**FACTORS, "transition": {"path": "transition", "levels": ["A", "B"]}}
    design = {"kind": "fractional", "generators": ["C=AB"]}
    names = [
        f"{order}, bias={bias}, {'A' if (order == 'original') == (bias == '-6') else 'B'}"
        for order, bias in product(ORDERS, BIASES)
    ]
    # Cells are chosen so that the baseline, all first levels, is one of them: C = -AB.
    errors = {name: [0.1 + wobble for wobble in WOBBLE] for name in names}
    run = ablation(errors, factors=factors, design=design, set=GATED)
    table = terms(run)
    assert table is not None
    aliases = {row[0].text: row[-1].text for row in table.rows}
    assert aliases["order"] == "bias x transition"
    assert "defining relation: I = " in markdown.render(document(run))


def test_a_design_of_single_steps_has_differences_and_no_means(ablation: Make) -> None:
    errors = {"baseline": [0.1, 0.11, 0.12], "order=full_preactivation": [0.2, 0.22, 0.21], "bias=0": [0.1, 0.1, 0.1]}
    run = ablation(errors, factors=FACTORS, design="one_at_a_time", set=GATED)
    assert run.terms == []
    assert [found.arm for found in run.findings] == ["order=full_preactivation", "bias=0"]
