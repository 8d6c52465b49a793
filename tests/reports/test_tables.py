"""The table's cells, and Markdown that nothing in a name can break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.markdown import escape
from reports.numerals import engineering, percent


@pytest.mark.parametrize(
    ("mean", "std", "text"), [(0.0139, None, "1.39"), (0.0139, 0.002, "1.39 ± 0.20"), (None, None, "-")]
)
def test_errors_are_percent_with_their_spread(mean: float | None, std: float | None, text: str) -> None:
    assert percent(mean, std) == text


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12"), (1727962, "1.73M"), (254988928, "255M"), (4111512576, "4.11G"), (999, "999")]
)
def test_large_numbers_have_three_digits_and_a_letter(number: float, text: str) -> None:
    assert engineering(number) == text


@given(st.text())
def test_no_text_closes_a_cell_or_starts_a_line(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert "|" not in escaped.replace("\\|", "")
