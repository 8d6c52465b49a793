"""The table of a front has a column for each of its objectives."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.front import table
from search.fronts.front import front
from search.fronts.objectives import OBJECTIVES
from search.store.tables import RESULTS


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_has_a_column(name: str) -> None:
    trial = dict.fromkeys(RESULTS, 4.0) | {"architecture": "a", "seed": 0, "validation_error": 0.25, "test_error": 0.5}
    found = front(pd.DataFrame([trial]), [name], bootstrap=0)
    made = table("Front", found)
    assert OBJECTIVES[name].heading in made.headings
    assert len(made.headings) == len(made.rows[0])
    at = list(made.headings).index(OBJECTIVES[name].heading)
    assert made.rows[0][at].text == ("25.00" if name == "error" else "4")


def test_a_front_without_networks_is_an_empty_table() -> None:
    assert table("Front", []).rows == []
