"""Numbers are formatted for readers."""

import pytest

from reports.numbers import engineering, interval, p_value, percent


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


def test_a_difference_is_in_points_with_its_interval() -> None:
    assert interval(0.0836, 0.061, 0.1062) == "+8.36 [+6.10, +10.62]"
    assert interval(-0.05, None, None) == "-5.00"


@pytest.mark.parametrize(("p", "text"), [(0.0341, "0.034"), (0.0009, "<0.001"), (None, "")])
def test_a_p_value_has_three_digits(p: float | None, text: str) -> None:
    assert p_value(p) == text
