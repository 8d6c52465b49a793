"""Findings: planned contrasts separate from the others, failures reported, and no claims without significance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    compare = {"compare": ["one", "two"]}
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
    assert bad.verdict == "worse by 30.07 points"
    assert not like.resolved
    assert like.verdict.startswith("not resolved at n = 3")


def test_an_unresolved_contrast_reports_how_many_seeds_it_needs(ablation: Make) -> None:
    found = ablation({"base": [0.10, 0.12, 0.11], "other": [0.12, 0.11, 0.13]}, planned={"compare": ["other"]})
    needed = found.findings[0].needed
    assert needed is not None
    assert needed > 3
    assert f"about {needed} seeds would be needed" in found.findings[0].verdict


def test_with_two_seeds_there_is_an_interval_and_no_p(ablation: Make) -> None:
    (found,) = ablation({"base": [0.1, 0.2], "other": [0.15, 0.24]}).findings
    assert found.p is None
    assert found.difference.why_no_p
    assert found.difference.low is not None
    assert not found.resolved


def test_trials_that_diverged_are_reported_and_not_part_of_the_mean(ablation: Make) -> None:
    run = ablation(
        {"base": [0.1, 0.11, 0.12, 0.1], "other": [0.1, "diverged", 0.12, 0.1]}, planned={"compare": ["other"]}
    )
    (found,) = run.findings
    assert found.bad == {"other": 1}
    assert found.difference.n == 3
    assert found.difference.missing == (1,)
    assert found.verdict.startswith("1 of other diverged or failed;")
    assert run.best is None


def test_no_worse_is_tested_instead_of_a_difference(ablation: Make) -> None:
    errors = {"base": [0.100, 0.110, 0.120, 0.105], "other": [0.101, 0.110, 0.121, 0.106]}
    planned = {"compare": [{"arm": "other", "no_worse_by": 0.01}]}
    (found,) = ablation(errors, planned=planned).findings
    assert found.resolved
    assert found.verdict == "no worse than 1 points"


def test_a_difference_shown_to_be_small_is_equivalent(ablation: Make) -> None:
    errors = {"base": [0.100, 0.110, 0.120, 0.105], "other": [0.101, 0.109, 0.121, 0.104]}
    planned = {"compare": ["other"], "equivalent_within": 0.01}
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
    assert answer(run) == ("Of 2 planned comparisons with base: 1 worse (bad by 30.07 points), 1 not resolved (like).")
    assert "None was planned" in answer(ablation(CLEAR, folder="unplanned"))


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
