"""The table of a front has a column for each of its objectives."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from reports.front import NO_RESULT, brief, table
from reports.terminal import parts
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


def test_a_terminal_shows_what_each_network_is_in_80_columns() -> None:
    trials = [
        dict.fromkeys(RESULTS, 4.0)
        | {"architecture": f"{at:016x}", "seed": seed, "validation_error": 0.25 + at / 100 + seed / 1000}
        | {"test_error": 0.5, "macs": 1e6 - at, "params": 1e5, "depth": 20}
        for at in range(2)
        for seed in range(2)
    ]
    points = front(pd.DataFrame(trials), ["error", "macs"], bootstrap=0)
    what = {f"{at:016x}": f"shortcut=exclusive_gate, gate_bias=-6, units={at}, width=0.25" for at in range(2)}
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False)
    for part in parts(brief("front of error, macs", points, what)):
        console.print(part, soft_wrap=isinstance(part, str))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(key in text for key in what)
    assert "25.05 ± 0.07" in text
    assert "…" not in text
    words = " ".join(line[17:45] for line in text.splitlines()).split()
    assert {"gate_bias=-6,", "units=0,", "units=1,", "width=0.25"} <= set(words)


def test_before_the_first_result_a_terminal_has_a_line_and_no_empty_table() -> None:
    assert list(parts(brief("front of error, macs", []))) == [f"front of error, macs: {NO_RESULT}"]
