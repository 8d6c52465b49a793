"""A distribution counts every network, and has the band of Dvoretzky, Kiefer and Wolfowitz."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawings import axis_of, drawn, part, texts_in

from reports.figures.distributions import Distribution, distributions


def test_a_distribution_is_the_share_of_networks_up_to_an_error() -> None:
    figure = distributions([Distribution("a", 0, [0.3, 0.1, 0.1, 0.2])])
    (line,) = part(figure, "arm-0-line")
    assert list(line.get_xdata())[1:-1] == pytest.approx([10, 10, 20, 30])
    assert list(line.get_ydata()) == [0, 0.25, 0.5, 0.75, 1, 1]
    assert line.get_drawstyle() == "steps-post"


def test_a_band_is_that_of_dvoretzky_kiefer_and_wolfowitz() -> None:
    errors = np.linspace(0.1, 0.2, 1000).tolist()
    figure = distributions([Distribution("a", 0, errors)])
    (band,) = axis_of(figure).collections
    middle = [y for x, y in band.get_paths()[0].vertices if x == pytest.approx(100 * errors[499])]
    # sqrt(ln 40 / 2000) = 0.0429
    assert (min(middle), max(middle)) == pytest.approx((0.499 - 0.0429, 0.5 + 0.0429), abs=2e-3)
    assert not axis_of(distributions([Distribution("a", 0, errors)], bands=False)).collections


def test_a_network_without_a_finite_error_counts() -> None:
    figure = distributions([Distribution("a", 0, [0.1, 0.2, math.nan, math.inf])])
    assert max(drawn(figure, "arm-0-line")) == 0.5
    assert "a (n = 4)" in texts_in(figure)
