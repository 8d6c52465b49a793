"""Findings: planned contrasts separate from the others, failures reported, and no claims without significance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ablations.run import AblationRun
from reports.document.answer import answer
from reports.document.arm_notes import footnotes
from resnet_space import InputError
from resnet_space.api.studies import load

Make = Callable[..., AblationRun]
CLEAR = {"base": [0.010, 0.012, 0.011], "bad": [0.310, 0.313, 0.312], "like": [0.011, 0.010, 0.013]}


def test_a_planned_contrast_comes_first_and_the_others_are_exploratory(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": ["bad"]})
    assert [(found.arm, found.versus, found.planned) for found in run.findings] == [
        ("bad", "base", True),
        ("like", "base", False),
    ]


def test_each_family_is_adjusted_separately(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": ["bad"]})
    bad, like = run.findings
    assert bad.p_adjusted == bad.p
    assert like.p_adjusted == like.p
    both = ablation(CLEAR, folder="both", planned={"compare": ["bad", "like"]})
    assert both.findings[0].p_adjusted == pytest.approx(2 * (both.findings[0].p or 0))


def test_a_family_is_not_adjusted_if_adjust_is_none(ablation: Make) -> None:
    errors = {"base": [0.10, 0.12, 0.11], "one": [0.13, 0.16, 0.13], "two": [0.125, 0.16, 0.13]}
    compare = {"compare": ["one", "two"], "test": "paired_t"}
    family = ablation(errors, folder="family", planned=compare)
    alone = ablation(errors, folder="alone", planned=compare | {"adjust": "none"})
    assert [found.p for found in alone.findings] == [found.p for found in family.findings]
    assert [found.p_adjusted for found in alone.findings] == [found.p for found in alone.findings]
    assert [found.resolved for found in alone.findings] == [True, True]
    assert [found.resolved for found in family.findings] == [False, False]
    assert any("p <= 0.05 for each comparison separately" in note for note in footnotes(alone))
    assert any("p <= 0.05 by Holm over its family" in note for note in footnotes(family))


def test_a_clear_difference_is_reported_with_its_size(ablation: Make) -> None:
    bad, like = ablation(CLEAR, planned={"compare": ["bad", "like"]}).findings
    assert bad.resolved
    assert bad.verdict == "worse by 30.07 points; fails at 3 of 3 seeds, too few to show that it always does"
    assert not like.resolved
    assert like.verdict.startswith("not resolved at n = 3")


def test_an_unresolved_contrast_reports_how_many_seeds_it_needs_from_four_seeds_on(ablation: Make) -> None:
    errors = {"base": [0.10, 0.12, 0.11, 0.105], "other": [0.12, 0.11, 0.13, 0.12]}
    (found,) = ablation(errors, planned={"compare": ["other"]}).findings
    assert found.needed is not None
    low, high = found.needed
    assert high is None or 4 < low < high
    assert "seeds would be needed" in found.verdict or "or more would be needed" in found.verdict
    three = {arm: values[:3] for arm, values in errors.items()}
    (found,) = ablation(three, folder="three", planned={"compare": ["other"]}).findings
    assert found.needed is None
    assert found.verdict == "not resolved at n = 3"


def test_with_two_seeds_a_paired_test_has_an_interval_and_no_p_and_the_moderated_test_has_both(ablation: Make) -> None:
    errors = {"base": [0.1, 0.2], "other": [0.15, 0.24]}
    (found,) = ablation(errors, planned={"test": "paired_t"}).findings
    assert found.p is None
    assert found.difference.why_no_p
    assert found.difference.low is not None
    assert not found.resolved
    (found,) = ablation(errors, folder="moderated").findings
    assert found.p is not None
    assert not found.resolved


def test_an_arm_that_diverges_at_most_seeds_is_worse_although_it_is_better_where_it_trains(ablation: Make) -> None:
    base = [0.0300, 0.0310, 0.0290, 0.0305, 0.0295, 0.0308, 0.0292, 0.0301, 0.0299, 0.0303]
    other = [*["diverged"] * 7, 0.0199, 0.0198, 0.0201]
    run = ablation({"base": base, "other": other}, planned={"compare": ["other"]})
    (found,) = run.findings
    assert found.resolved
    assert found.worse
    assert found.verdict == "worse; 7 of 10 seeds diverged; where both train, -1.01 points"
    assert answer(run) == "other is worse than base, by failing at some seeds."
    assert run.best == "base"


@pytest.mark.parametrize("test", ["moderated", "paired_t", "wilcoxon", "sign_flip"])
def test_no_test_calls_an_arm_better_that_fails_more_often(ablation: Make, test: str) -> None:
    base = [0.10, 0.11, 0.12, 0.10, 0.11, 0.12, 0.10, 0.11]
    run = ablation({"base": base, "other": [0.01] * 7 + ["diverged"]}, planned={"compare": ["other"], "test": test})
    (found,) = run.findings
    assert not (found.resolved and not found.worse)
    assert "1 of 8 seeds diverged" in found.verdict
    assert "better" not in answer(run).replace("shown to be better", "")


def test_an_arm_that_always_diverges_is_worse_and_two_such_arms_are_not_called_equivalent(ablation: Make) -> None:
    planned = {"compare": ["one"], "equivalent_within": 0.05}
    run = ablation({"base": [0.01, 0.012], "one": ["diverged", "diverged"]}, planned=planned)
    assert (
        run.findings[0].verdict == "worse by 88.90 points; fails at 2 of 2 seeds, too few to show that it always does"
    )
    both = ablation({"base": ["diverged"] * 3, "one": ["diverged"] * 3}, folder="both", planned=planned)
    assert both.findings[0].verdict == "both fail"
    assert answer(both) == "one fails, as base does."


@pytest.mark.parametrize("test", ["moderated", "paired_t"])
def test_equal_errors_at_every_seed_have_an_interval_from_sampling_the_images(ablation: Make, test: str) -> None:
    planned = {"compare": ["bad", "like"], "test": test}
    run = ablation({"base": [0.0111] * 3, "bad": [0.9025] * 3, "like": [0.0139] * 3}, planned=planned)
    bad, like = run.findings
    assert bad.resolved
    assert bad.difference.low is not None
    assert bad.difference.high is not None
    assert 0 < bad.difference.low < 0.8914 < bad.difference.high
    assert not like.resolved
    assert (like.difference.low or 0) < 0 < (like.difference.high or 0)


def test_a_trial_that_failed_by_a_fault_of_the_machine_is_missing_data(ablation: Make) -> None:
    run = ablation(
        {"base": [0.1, 0.11, 0.12, 0.1], "other": [0.1, "failed", 0.12, 0.1]}, planned={"compare": ["other"]}
    )
    (found,) = run.findings
    assert found.difference.n == 3
    assert found.difference.missing == (1,)
    assert "failed" not in found.verdict
    assert run.summaries[1].outcome == "trained, 1 of 4 lost"
    assert any("1 trial failed by a fault of the machine" in note for note in footnotes(run))
    assert run.best is None


@pytest.mark.parametrize("test", ["moderated", "paired_t"])
@pytest.mark.parametrize("adjust", ["holm", "none"])
def test_a_star_and_an_interval_that_excludes_zero_go_together(ablation: Make, test: str, adjust: str) -> None:
    rng = np.random.default_rng(0)
    arms = {f"arm {place}": (0.1 + 0.012 * place + 0.012 * rng.standard_normal(4)).tolist() for place in range(6)}
    planned = {"compare": [*arms][1:], "test": test, "adjust": adjust}
    found = ablation(arms, planned=planned).findings
    assert any(each.resolved for each in found)
    for each in found:
        assert each.difference.low is not None
        assert each.difference.high is not None
        assert each.resolved == (each.difference.low > 0 or each.difference.high < 0)


def test_the_level_of_each_interval_is_named(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": ["bad", "like"]})
    assert [found.difference.confidence for found in run.findings] == pytest.approx([0.975, 0.95])
    assert any("Intervals: 95 % to 97.5 % each, 95 % together." in note for note in footnotes(run))


def test_equivalence_is_claimed_with_the_alpha_of_the_family(ablation: Make) -> None:
    """Schuirmann's p of one comparison is 0.035."""
    base = [0.1, 0.1, 0.1, 0.1]
    errors = {"base": base, "one": [0.11, 0.09, 0.105, 0.095], "two": [0.09, 0.11, 0.095, 0.105]}
    planned = {"compare": ["one"], "equivalent_within": 0.0124, "test": "paired_t"}
    alone = ablation({name: errors[name] for name in ("base", "one")}, planned=planned)
    assert [found.equivalent for found in alone.findings] == [True]
    both = ablation(errors, folder="both", planned=planned | {"compare": ["one", "two"]})
    assert [found.equivalent for found in both.findings] == [False, False]


def test_no_worse_is_tested_instead_of_a_difference(ablation: Make) -> None:
    errors = {"base": [0.100, 0.110, 0.120, 0.105], "other": [0.101, 0.110, 0.121, 0.106]}
    planned = {"compare": [{"arm": "other", "no_worse_by": 0.01}], "test": "paired_t"}
    (found,) = ablation(errors, planned=planned).findings
    assert found.resolved
    assert found.verdict == "no worse than 1 points"


def test_a_difference_shown_to_be_small_is_equivalent(ablation: Make) -> None:
    errors = {"base": [0.100, 0.110, 0.120, 0.105], "other": [0.101, 0.109, 0.121, 0.104]}
    planned = {"compare": ["other"], "equivalent_within": 0.01, "test": "paired_t"}
    (found,) = ablation(errors, planned=planned).findings
    assert found.equivalent
    assert found.verdict == "equivalent at n = 4"


def test_the_best_arm_is_named_if_it_is_better_than_every_other(ablation: Make) -> None:
    assert ablation({"base": [0.31, 0.32, 0.33], "good": [0.01, 0.02, 0.032]}).best == "good"
    assert ablation(CLEAR, folder="unclear").best is None


def test_contrasts_that_changed_after_the_first_trial_are_exploratory(ablation: Make) -> None:
    assert ablation(CLEAR, planned={"compare": ["bad"]}).as_planned
    later = ablation(CLEAR, planned={"compare": ["bad", "like"]})
    assert not later.as_planned
    assert not any(found.planned for found in later.findings)


def test_the_answer_uses_the_planned_contrasts(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": ["bad", "like"]})
    assert answer(run) == (
        "None of 2 alternatives is shown to be better than base: 1 of 2 is worse, by 30.07 points; like cannot be "
        "distinguished from it with 3 seeds."
    )
    assert "No comparison was planned" in answer(ablation(CLEAR, folder="unplanned"))


def test_the_answer_of_an_unfinished_run_says_so(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.1, 0.1], "other": [0.2, None, None]})
    assert "Some trials are still waiting." in answer(run)


@pytest.mark.parametrize(
    ("planned", "message"),
    [
        ({"compare": ["identty"]}, "planned.compare: unknown arm 'identty'; did you mean 'identity'?"),
        ({"measure": "test_eror"}, "unknown measure 'test_eror'; did you mean 'test_error'?"),
        ({"test": "paired"}, "unknown test 'paired'; did you mean 'paired_t'?"),
        ({"compare": ["identity"]}, "'identity' is compared with itself"),
        ({"compare": ["dropout 0.5", "dropout 0.5"]}, "a contrast is given twice"),
    ],
)
def test_wrong_plans_are_refused_by_name(planned: dict[str, Any], message: str) -> None:
    changes = {f"planned.{field}": value for field, value in planned.items()}
    with pytest.raises(InputError) as error:
        load("shortcuts", changes=changes)
    assert message in str(error.value)


def test_a_range_of_seeds_needs_planned_contrasts(ablation: Make) -> None:
    with pytest.raises(InputError, match=r"seeds: a range needs planned contrasts"):
        ablation(CLEAR, seeds={"min": 3, "max": 5})


def test_a_contrast_with_an_arm_other_than_the_baseline_is_reported_as_such(ablation: Make) -> None:
    run = ablation(CLEAR, planned={"compare": [{"arm": "bad", "versus": "like"}]})
    assert (run.finding_of("bad").versus, run.finding_of("like").versus) == ("like", "base")
    assert any("or of the arm named in the planned comparison" in note for note in footnotes(run))
    alone = ablation(CLEAR, folder="alone", planned={"compare": ["bad"]})
    assert not any("named in the planned comparison" in note for note in footnotes(alone))
