"""What a study's seeds can show, by its own test, family and interim analyses."""

from __future__ import annotations

from typing import Any

import pytest

from ablations import effects
from ablations.expected import Expected
from ablations.power import POWER
from ablations.sensitivity import Asked, Sensitivity
from ablations.study import Ablation
from search.measures.catalogue import MEASURES

EXPECTED = Expected(error=0.066, spread=0.03, images=10_000, source="made")


def sensitivity(
    planned: dict[str, Any],
    *,
    arms: int = 4,
    seeds: Any = 5,
    wanted: float | None = None,
    expected: Expected = EXPECTED,
) -> Sensitivity:
    names = ["base", *(f"arm {number}" for number in range(1, arms))]
    study = Ablation.of(
        {
            "name": "made",
            "net": "resnet20",
            "arms": {name: {} for name in names},
            "baseline": "base",
            "data": "cifar10",
            "recipe": "paper-cifar",
            "seeds": seeds,
            "planned": {"test": "paired_t", "compare": names[1:], **planned},
        }
    )
    return Sensitivity(study, names, arms, {MEASURES["test_error"]: expected}, wanted)


def test_planned_comparisons_with_the_same_arm_are_one_group_and_margins_are_others() -> None:
    compare = ["arm 1", "arm 2", {"arm": "arm 3", "versus": "arm 1"}, {"arm": "arm 3", "no_worse_by": 0.01}]
    found = sensitivity({"compare": compare, "equivalent_within": 0.005})
    assert found.asked == [
        Asked(("arm 1", "arm 2"), "base", "difference"),
        Asked(("arm 3",), "arm 1", "difference"),
        Asked(("arm 3",), "base", "no_worse", 0.01),
        Asked(("arm 1", "arm 2"), "base", "equivalent", 0.005),
        Asked(("arm 3",), "arm 1", "equivalent", 0.005),
    ]


def test_without_planned_comparisons_all_arms_are_compared_with_the_baseline() -> None:
    found = sensitivity({"compare": []})
    assert not found.planned
    assert found.asked == [Asked(("arm 1", "arm 2", "arm 3"), "base", "difference")]
    assert found.rows[0].level == pytest.approx(0.05 / 3)


@pytest.mark.parametrize(
    ("planned", "seeds", "levels"),
    [
        ({}, 5, [(5, 0.05 / 3)]),
        ({"adjust": "none"}, 5, [(5, 0.05)]),
        # Three analyses have a quarter, a quarter and a half of alpha.
        ({}, {"min": 4, "max": 8, "by": 2}, [(4, 0.05 / 3 / 4), (8, 0.05 / 3 / 2)]),
        ({}, {"min": 4, "max": 4}, [(4, 0.05 / 3)]),
        ({"alpha": 0.01}, 5, [(5, 0.01 / 3)]),
    ],
)
def test_every_comparison_has_its_share_of_alpha(
    planned: dict[str, Any], seeds: Any, levels: list[tuple[int, float]]
) -> None:
    found = sensitivity(planned, seeds=seeds)
    assert [(row.seeds, pytest.approx(row.level)) for row in found.rows] == levels


def test_the_smallest_difference_has_a_power_of_80_percent_and_is_that_of_the_formula() -> None:
    (row,) = sensitivity({"compare": ["arm 1"]}, seeds=10).rows
    assert row.smallest is not None
    power = sensitivity({"compare": ["arm 1"]}, seeds=10, wanted=row.smallest).rows[0].power
    assert power == pytest.approx(POWER, abs=1e-3)
    # The standard deviation of a difference by sampling 10,000 images, which is more than that over seeds.
    std = sum(error * (1 - error) / 10_000 for error in (0.066, 0.066 + row.smallest)) ** 0.5
    assert effects.pairs_needed(std, row.smallest * 1.001) == 10
    assert effects.pairs_needed(std, row.smallest * 0.999) == 11


def test_a_wanted_difference_needs_seeds_for_all_networks() -> None:
    found = sensitivity({}, wanted=0.005)
    (need,) = found.needs
    assert need.seeds is not None
    assert need.trials == 4 * need.seeds
    assert sensitivity({}, seeds=need.seeds, wanted=0.005).rows[0].power >= POWER
    assert sensitivity({}, seeds=need.seeds - 1, wanted=0.005).rows[0].power < POWER


def test_more_seeds_of_a_range_are_tested_at_the_share_of_the_final_analysis() -> None:
    found = sensitivity({}, seeds={"min": 3, "max": 4}, wanted=0.005)
    (need,) = found.needs
    assert need.seeds > sensitivity({}, wanted=0.005).needs[0].seeds
    again = sensitivity({}, seeds={"min": 3, "max": need.seeds}, wanted=0.005)
    assert again.rows[-1].power >= POWER
    assert again.rows[-1].level == found.level_with(need.seeds) == pytest.approx(0.05 / 3 / 2)


@pytest.mark.parametrize("test", ["wilcoxon", "sign_flip"])
def test_a_test_of_signs_with_five_seeds_and_ten_comparisons_can_never_claim_a_difference(test: str) -> None:
    found = sensitivity({"test": test}, arms=11, wanted=0.5)
    assert [(row.smallest, row.power) for row in found.rows] == [(None, 0.0)]
    assert found.warnings == [
        f"with 5 seeds, no difference from base can be claimed: test {test!r} has no p-value below 0.062 then, and the "
        "level of 10 comparisons is 0.005; the least number of seeds is 9"
    ]
    assert found.needs[0].seeds == 9
    assert not sensitivity({"test": test}, arms=11, seeds=9).warnings


def test_the_first_analysis_of_a_range_can_be_too_early_for_any_claim() -> None:
    found = sensitivity({"test": "wilcoxon"}, arms=2, seeds={"min": 5, "max": 10})
    assert [row.smallest is None for row in found.rows] == [True, False]
    assert "level of the comparison is 0.005" in found.rows[0].obstacle
    assert found.warnings == []


def test_too_few_or_too_many_seeds_for_the_test_are_reported() -> None:
    assert sensitivity({}, seeds=2).warnings == [
        "with 2 seeds, no difference from base can be claimed: test 'paired_t' has no p-value with fewer than 3 seeds"
    ]
    assert sensitivity({"test": "sign_flip"}, seeds=41).warnings == [
        "with 41 seeds, no difference from base can be claimed: test 'sign_flip' takes at most 40 seeds"
    ]
    assert sensitivity({"test": "moderated"}, seeds=1).warnings == [
        "with 1 seed, no difference from base can be claimed: test 'moderated' has no p-value with fewer than 2 seeds"
    ]


def test_a_margin_that_the_seeds_cannot_show_is_reported_with_the_seeds_that_can() -> None:
    found = sensitivity({"compare": ["arm 1", {"arm": "arm 2", "no_worse_by": 0.002}], "equivalent_within": 0.003})
    no_worse, equivalent = found.needs
    assert found.warnings[0].startswith(
        "with 5 seeds, an arm equal to base is shown to be no worse by 0.20 points with"
    )
    assert found.warnings[0].endswith(f" %; {no_worse.seeds} seeds would be enough")
    assert found.warnings[1].startswith(
        "with 5 seeds, an arm equal to base is shown to be equivalent within 0.30 points"
    )
    again = sensitivity({"compare": ["arm 1"], "equivalent_within": 0.003, "adjust": "none"}, seeds=equivalent.seeds)
    assert again.warnings == []


def test_a_margin_that_no_number_of_seeds_can_show_is_reported() -> None:
    found = sensitivity({"equivalent_within": 0.00001})
    assert found.needs[0].seeds is None
    assert found.warnings[0].endswith("with a power of 0 %; even 1000 seeds would not be enough")


def test_a_margin_within_reach_is_not_reported() -> None:
    found = sensitivity({"compare": [{"arm": "arm 1", "no_worse_by": 0.02}], "equivalent_within": 0.02})
    assert found.needs == found.warnings == []


def test_a_comparison_with_another_arm_has_the_error_expected_of_that_arm() -> None:
    expected = Expected(0.066, 0.3, 10_000, "made", errors={"arm 1": 0.2})
    found = sensitivity({"compare": ["arm 2", {"arm": "arm 2", "versus": "arm 1"}]}, expected=expected, seeds=10)
    with_base, with_arm = found.rows
    assert (with_base.error, with_arm.error) == (0.066, 0.2)
    assert with_arm.smallest > 2 * with_base.smallest, "errors in the middle vary more"


def test_a_moderated_test_finds_smaller_differences_than_a_paired_one_with_three_seeds() -> None:
    expected = Expected(0.066, 0.2, 10_000, "made")
    moderated, paired = (
        sensitivity({"test": test}, arms=6, seeds=3, expected=expected).rows[0].smallest
        for test in ("moderated", "paired_t")
    )
    assert moderated < paired / 2


def test_comparisons_of_measures_of_which_nothing_is_expected_count_in_the_family_and_are_not_forecast() -> None:
    compare = ["arm 1", {"arm": "arm 1", "measure": "train_error"}, {"arm": "arm 2", "measure": "seconds"}]
    found = sensitivity({"compare": compare})
    assert found.asked == [Asked(("arm 1",), "base", "difference")]
    assert found.rows[0].level == pytest.approx(0.05 / 3)
    assert {measure.name: number for measure, number in found.unknown.items()} == {"train_error": 1, "seconds": 1}
