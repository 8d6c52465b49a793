"""Rates of events: published examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ablations.rates import rate, rates_differ
from resnet_space import InputError


def test_the_clopper_pearson_interval_equals_that_of_r_for_mendels_peas() -> None:
    assert rate(682, 925) == pytest.approx((0.7076683, 0.7654066), abs=5e-8)
    assert rate(0, 5) == pytest.approx((0, 1 - 0.025**0.2))
    assert rate(0, 0) == (0, 1)


def test_three_of_four_cups_are_not_significant_for_the_lady_tasting_tea() -> None:
    assert rates_differ(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert rates_differ(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert rates_differ(0, 0, 3, 3) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: rate(3, 2), "3 of 2: events must be between 0 and the number of trials"),
        (lambda: rate(1, 2, confidence=0), "confidence: 0; must be between 0 and 1"),
        (lambda: rates_differ(1, 2, -1, 2), "-1 of 2: events"),
    ],
)
def test_wrong_input_is_refused_in_words(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()
