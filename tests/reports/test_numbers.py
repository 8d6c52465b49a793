"""Numbers are formatted for readers."""

from dataclasses import replace

import pytest

from ablations.published import Published, Statistic
from reports.numbers import engineering, interval, p_value, percent, published


@pytest.mark.parametrize(
    ("mean", "std", "text"), [(0.0139, None, "1.39"), (0.0139, 0.002, "1.39 ± 0.20"), (None, None, "-")]
)
def test_errors_are_in_percent_with_their_spread(mean: float | None, std: float | None, text: str) -> None:
    assert percent(mean, std) == text


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12"), (1727962, "1.73M"), (254988928, "255M"), (4111512576, "4.11G"), (999, "999")]
)
def test_large_numbers_have_three_digits_and_a_letter(number: float, text: str) -> None:
    assert engineering(number) == text


@pytest.mark.parametrize(
    ("error", "statistic", "runs", "mean", "spread", "text"),
    [
        (0.0661, "mean", 5, None, 0.0016, "6.61 ± 0.16 (mean of 5)"),
        (0.0643, "best", 5, 0.0661, 0.0016, "6.43 (best of 5; mean 6.61 ± 0.16)"),
        (0.0754, "best", None, None, None, "7.54 (best)"),
        (0.0817, "median", 5, None, None, "8.17 (median of 5)"),
        (0.0875, "single", 1, None, None, "8.75 (1 run)"),
        (0.0524, "", None, None, None, "5.24"),
        (None, "median", 5, None, None, "fail"),
    ],
)
def test_a_published_error_says_what_it_is_over_the_runs_of_its_paper(
    error: float | None, statistic: Statistic, runs: int | None, mean: float | None, spread: float | None, text: str
) -> None:
    row = Published(error, error is None, "cifar10", "resnet110", "test_error", "1512.03385 table 6")
    assert published(replace(row, statistic=statistic, runs=runs, mean=mean, spread=spread)) == text
    assert published(None) == ""


def test_a_difference_is_in_points_with_its_interval() -> None:
    assert interval(0.0836, 0.061, 0.1062) == "+8.36 [+6.10, +10.62]"
    assert interval(-0.05, None, None) == "-5.00"


@pytest.mark.parametrize(("p", "text"), [(0.0341, "0.034"), (0.0009, "<0.001"), (None, "")])
def test_a_p_value_has_three_digits(p: float | None, text: str) -> None:
    assert p_value(p) == text
