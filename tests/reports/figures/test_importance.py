"""Importances are bars; if there are none, the figure shows the reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawings import axis_of, error_bars

from reports.figures.importance import importance


def explained(**importances: float) -> pd.DataFrame:
    rows = [
        {"axis": axis, "objective": "error", "importance": value, "std": 0.1 * value, "r2": 0.8, "reason": ""}
        for axis, value in importances.items()
    ]
    return pd.DataFrame(rows, columns=["axis", "objective", "importance", "std", "r2", "reason"])


def test_importances_are_bars_with_the_greatest_at_the_top() -> None:
    axes = axis_of(importance(explained(width=0.2, depth=0.7, order=0.1)))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["order", "width", "depth"]
    assert [patch.get_width() for patch in axes.patches] == [0.1, 0.2, 0.7]
    [whiskers] = error_bars(axes)
    ends = [segment[:, 0].tolist() for segment in whiskers.lines[2][0].get_segments()]
    assert ends == [pytest.approx([0.9 * value, 1.1 * value]) for value in (0.1, 0.2, 0.7)]
    assert axes.get_title(loc="left") == "validation error, R² 0.80"


def test_an_objective_without_importances_shows_the_reason() -> None:
    why = "12 different assignments with a value, of 20 needed"
    nothing = explained(width=np.nan, depth=np.nan).assign(objective="macs", r2=np.nan, reason=why)
    figure = importance(pd.concat([explained(width=0.4, depth=0.6), nothing]))
    first, second = figure.axes
    assert len(first.patches) == 2
    assert len(second.patches) == 0
    assert " ".join(second.texts[0].get_text().split()) == why
    assert second.get_title(loc="left") == "MACs"
