"""Means, spreads, outcomes and rank agreement, compared with numbers computed by hand."""

from collections import Counter

import pytest

from ablations.published import Published
from ablations.summary import ArmSummary, agreement


def arm(
    *errors: float,
    planned: int | None = None,
    published: float | None = None,
    fails: bool = False,
    **ended: int,
) -> ArmSummary:
    row = Published(published, fails, "cifar10", "resnet110", "test_error", "paper") if published or fails else None
    return ArmSummary(
        arm="an arm",
        key="0" * 16,
        params=1000,
        macs=100_000,
        measured={"test_error": dict(enumerate(errors))},
        ended=Counter(complete=len(errors), **ended),
        planned=len(errors) + sum(ended.values()) if planned is None else planned,
        fail_above=0.2,
        published=row,
    )


def test_mean_and_sample_standard_deviation_are_over_complete_seeds() -> None:
    assert (arm(0.1, 0.2, 0.3).mean, arm(0.1, 0.2, 0.3).std) == (pytest.approx(0.2), pytest.approx(0.1))
    assert arm(0.1).std is None
    assert arm(diverged=2).mean is None


@pytest.mark.parametrize(
    ("summary", "outcome"),
    [
        (arm(0.1, 0.2), "trained"),
        (arm(0.2, 0.21), "fail"),
        (arm(0.1, diverged=1), "trained, 1 of 2 diverged"),
        (arm(failed=2), "2 of 2 failed"),
        (arm(0.1, planned=3), "trained, 2 of 3 waiting"),
        (arm(planned=3), "3 of 3 waiting"),
    ],
)
def test_an_outcome_reports_every_status(summary: ArmSummary, outcome: str) -> None:
    assert summary.outcome == outcome


def tau(*arms: ArmSummary) -> float | None:
    found = agreement(arms)
    return None if found is None else found.tau


def test_the_same_order_agrees_and_the_reverse_disagrees() -> None:
    ours = [arm(0.1, published=0.05), arm(0.2, published=0.06), arm(0.3, published=0.07)]
    assert tau(*ours) == pytest.approx(1)
    reverse = [arm(0.3, published=0.05), arm(0.2, published=0.06), arm(0.1, published=0.07)]
    assert tau(*reverse) == pytest.approx(-1)


def test_published_failures_tie_as_worst() -> None:
    # Of six pairs, one is tied in the paper and five agree: 5 / sqrt(6 * 5).
    ours = [arm(0.1, published=0.05), arm(0.2, published=0.06), arm(0.3, fails=True), arm(0.9, fails=True)]
    assert tau(*ours) == pytest.approx(5 / 30**0.5)


def test_an_arm_with_a_trial_that_diverged_ranks_as_worst() -> None:
    ours = [arm(0.1, published=0.05), arm(0.2, published=0.06), arm(0.01, diverged=1, fails=True)]
    assert tau(*ours) == pytest.approx(1)


def test_fewer_than_three_arms_or_no_order_is_no_agreement() -> None:
    assert tau(arm(0.1, published=0.05), arm(0.2, published=0.06)) is None
    assert tau(arm(0.1, published=0.05), arm(0.2, published=0.06), arm(published=0.07, planned=1)) is None
    assert tau(arm(0.1, published=0.05), arm(0.1, published=0.06), arm(0.1, published=0.07)) is None
