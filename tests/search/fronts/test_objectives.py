"""Objectives by name: which exist, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from resnet_space.errors import InputError
from search.fronts.objectives import NAMES_OF_RESULTS, OBJECTIVES, parse_objectives
from search.store.store import RESULTS


@pytest.mark.parametrize("given_", ["error,macs", "error, macs", ["error", "macs"], ("error", "macs")])
def test_objectives_are_given_as_a_list_or_as_text(given_: Any) -> None:
    assert parse_objectives(given_) == ("error", "macs")


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (["error", "mac"], "unknown objective 'mac'; did you mean 'macs'? allowed: " + ", ".join(OBJECTIVES)),
        ("latency", "unknown objective 'latency'; did you mean 'latency_ms'? allowed: " + ", ".join(OBJECTIVES)),
        ("error,macs,error", "objective 'error' is given 2 times; give it once"),
        ("", "no objective; give at least one of " + ", ".join(OBJECTIVES)),
        ([], "no objective; give at least one of " + ", ".join(OBJECTIVES)),
        (3, "3: must be a list of objectives; allowed: " + ", ".join(OBJECTIVES)),
    ],
)
def test_unknown_objectives_are_refused(given_: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_objectives(given_)
    assert str(error.value) == message


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_a_column_of_results_and_a_name_in_filters(name: str) -> None:
    assert OBJECTIVES[name].column in RESULTS
    assert name in NAMES_OF_RESULTS


def test_objectives_are_imported_without_numpy_or_pandas() -> None:
    heavy = "{'numpy', 'pandas', 'moocore'} & set(sys.modules)"
    code = f"import json, sys, search.fronts.objectives; print(json.dumps(sorted({heavy})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
