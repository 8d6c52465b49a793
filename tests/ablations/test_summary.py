"""Means, spreads, outcomes and ranks, compared with numbers computed by hand."""

from collections import Counter

import pytest

from ablations.published import Published
from ablations.summary import ArmSummary


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
        (arm(failed=2), "2 of 2 lost"),
        (arm(0.1, planned=3), "trained, 2 of 3 waiting"),
        (arm(planned=3), "3 of 3 waiting"),
    ],
)
def test_an_outcome_reports_every_status(summary: ArmSummary, outcome: str) -> None:
    assert summary.outcome == outcome


def test_an_arm_that_fails_at_some_seeds_has_the_mean_of_the_others_next_to_its_failures() -> None:
    found = arm(0.01, 0.9, 0.03, diverged=1)
    assert found.outcome == "trained, 1 of 4 failed to train, 1 of 4 diverged"
    assert (found.mean, found.n, found.failures, found.outcomes) == (pytest.approx(0.02), 2, 2, 4)
    assert found.median == pytest.approx((0.03 + 0.9) / 2)


def test_errors_on_both_sides_of_the_threshold_that_are_close_together_are_no_failures_of_single_seeds() -> None:
    found = arm(0.19, 0.2, 0.22)
    assert (found.failures, found.n, found.outcome) == (0, 3, "fail")


def test_arms_rank_by_their_rate_of_failures_first() -> None:
    arms = [arm(0.15, 0.15), arm(0.01, 0.01, 0.01, diverged=1), arm(0.01, 0.01, diverged=2), arm(diverged=2)]
    ranks = [each.rank_error or 0.0 for each in arms]
    assert ranks == sorted(ranks)
    assert ranks[-1] == 1
    assert arm(failed=2).rank_error is None
