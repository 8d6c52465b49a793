"""An axis is as important as the objective depends on it. Without an explanation by the forest there are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pandas as pd
import pytest

from resnet_space import Space
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from search.exploring.importance import MIN_TRIALS, importance

KIND, BIAS, ORDER = "unit.shortcut.kind", "unit.shortcut.gate_bias", "unit.order"

SMALL = {f"stages.{stage}.units": [1, 2, 3] for stage in range(2)}
FREE = Space.of(
    {"base": "resnet20", "axes": {"width": [0.5, 1, 2], ORDER: "all", "stages.*.units": {"low": 1, "high": 9}}}
)
GATED = Space.of(
    {
        "base": "resnet20",
        "axes": {
            KIND: ["identity", "exclusive_gate"],
            BIAS: {"low": -8, "high": 0},
            "width": {"low": 0.5, "high": 2, "step": 0.125},
        },
    }
)


def drawn(space: Space, count: int = 80) -> list[Assignment]:
    rng = Random(0)
    return [space.draw(rng) for _ in range(count)]


def measured(space: Space, value: Callable[[Assignment], float], count: int = 80, **options: Any) -> pd.DataFrame:
    rows, noise = drawn(space, count), Random(1)
    table = importance(space, rows, {"error": [value(row) + noise.gauss(0, 0.02) for row in rows]}, **options)
    return table.set_index("axis")


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("width", lambda row: row["width"]),
        (ORDER, lambda row: float(row[ORDER] == "full_preactivation")),
        ("stages.*.units", lambda row: row["stages.*.units"] / 9),
    ],
)
def test_the_only_axis_that_matters_has_all_importance(axis: str, value: Callable[[Assignment], float]) -> None:
    table = measured(FREE, value)
    assert table.loc[axis, "importance"] > 0.95
    assert table["r2"].min() > 0.8
    assert set(table["reason"]) == {""}


def test_two_axes_share_importance_by_what_they_explain() -> None:
    found = measured(FREE, lambda row: row["width"] + row["stages.*.units"] / 9)["importance"]
    assert found["width"] > found["stages.*.units"] > 0.05 > found[ORDER]


def test_importances_are_fractions_with_a_standard_deviation() -> None:
    table = measured(FREE, lambda row: row["width"] + row["stages.*.units"] / 9)
    assert table["importance"].sum() == pytest.approx(1)
    assert table["importance"].min() >= 0
    assert 0 < table.loc["width", "std"] < table.loc["width", "importance"]


def test_noise_has_no_importances_and_a_reason() -> None:
    noise = Random(2)
    table = measured(FREE, lambda row: noise.random())
    assert table["importance"].isna().all()
    assert table["std"].isna().all()
    assert table["r2"].max() <= 0
    assert table["reason"].str.startswith("the forest explains nothing: R² -0.").all()


def test_a_kind_has_the_importance_that_its_bias_has_not() -> None:
    found = measured(GATED, lambda row: float(row[KIND] == "identity"))["importance"]
    assert found[KIND] > 0.95
    assert found[BIAS] < 0.02


def test_a_kind_is_not_hidden_behind_its_bias_being_absent() -> None:
    # Both weigh the same; a forest may tell identities by either axis.
    orders = ["original", "full_preactivation"]
    bias = {"low": -8, "high": 0}
    space = Space.of(
        {"base": "resnet20", "axes": {KIND: ["identity", "exclusive_gate"], BIAS: bias, ORDER: orders} | SMALL}
    )
    found = measured(space, lambda row: (row[KIND] == "identity") + (row[ORDER] == "original"), count=400)["importance"]
    assert found[KIND] == pytest.approx(0.5, abs=0.05)
    assert found[ORDER] == pytest.approx(0.5, abs=0.05)


def test_a_conditional_axis_is_important_if_it_matters_when_it_counts() -> None:
    # The mean over gates is an identity's value, so that the kind alone has little effect.
    found = measured(GATED, lambda row: (row.get(BIAS, -4) + 4) / 4, count=160)["importance"]
    assert found[BIAS] > found[KIND] > found["width"]
    assert found[BIAS] > 0.6
    assert found["width"] < 0.02


def test_an_axis_that_counts_in_few_trials_explains_little() -> None:
    def value(row: Assignment) -> float:
        return row["width"] + 0.25 * (row.get(BIAS, -4) + 4)

    rows = drawn(GATED, 400)
    gates = [row for row in rows if BIAS in row]
    few = [row for row in rows if BIAS not in row] + gates[:20]

    def of_bias(trials: list[Assignment]) -> float:
        table = importance(GATED, trials, {"error": [value(row) for row in trials]}).set_index("axis")
        return float(table.loc[BIAS, "importance"])

    assert of_bias(gates) > 3 * of_bias(few) > 0


def test_axes_that_do_not_count_change_nothing() -> None:
    rows = drawn(GATED)
    values = {"error": [float(row["width"]) for row in rows]}
    full = [{BIAS: -3.0} | row for row in rows]
    assert any(row != other for row, other in zip(rows, full, strict=True))
    pd.testing.assert_frame_equal(importance(GATED, full, values), importance(GATED, rows, values))


def test_an_axis_that_no_trial_had_can_start_to_count() -> None:
    when = {"width": {KIND: "exclusive_gate", ORDER: "original"}}
    orders = ["original", "full_preactivation"]
    space = Space.of(
        {
            "base": "resnet20",
            "axes": {KIND: ["identity", "exclusive_gate"], ORDER: orders, "width": [1, 2], "stem.channels": [8, 16, 32]}
            | SMALL,
            "when": when,
        }
    )
    rows = [row for row in drawn(space, 300) if "width" not in row]
    table = importance(space, rows, {"error": [float(row["stem.channels"]) for row in rows]}).set_index("axis")
    assert table.loc["stem.channels", "importance"] > 0.95
    assert table.loc["width", "importance"] == 0


def test_the_same_seed_gives_the_same_table_with_or_without_other_objectives() -> None:
    rows = drawn(FREE, 40)
    width, units = [float(row["width"]) for row in rows], [float(row["stages.*.units"]) for row in rows]
    alone = importance(FREE, rows, {"error": width}, seed=3)
    both = importance(FREE, rows, {"macs": units, "error": width}, seed=3)
    assert list(both["objective"].unique()) == ["macs", "error"]
    pd.testing.assert_frame_equal(both[both["objective"] == "error"].reset_index(drop=True), alone)
    assert not importance(FREE, rows, {"error": width}, seed=4)["std"].equals(alone["std"])


def test_too_few_trials_have_no_importances() -> None:
    every = drawn(FREE, 60)
    rows = [row for i, row in enumerate(every) if row not in every[:i]][:MIN_TRIALS]
    enough = importance(FREE, rows, {"error": [float(row["width"]) for row in rows]})
    few = importance(FREE, rows[1:], {"error": [float(row["width"]) for row in rows[1:]]})
    assert enough["importance"].notna().all()
    assert few["importance"].isna().all()
    assert set(few["reason"]) == {f"{MIN_TRIALS - 1} different assignments with a value, of {MIN_TRIALS} needed"}


def test_seeds_of_one_network_are_one_assignment() -> None:
    rows = drawn(FREE, 5) * 10
    table = importance(FREE, rows, {"error": [float(row["width"]) for row in rows]})
    assert table["importance"].isna().all()
    assert table["reason"].str.startswith("5 different assignments").all()


def test_memorised_networks_are_not_explained() -> None:
    networks, luck = drawn(GATED, 40), Random(3)
    values = [luck.random() for _ in networks]
    table = importance(GATED, networks * 5, {"error": values * 5})
    assert table["r2"].max() <= 0
    assert table["importance"].isna().all()


def test_trials_without_a_value_are_left_out() -> None:
    rows = drawn(FREE, 60)
    values = [float(row["width"]) for row in rows]
    gaps = importance(FREE, [*rows, rows[0], rows[1]], {"error": [*values, math.nan, math.inf]})
    pd.testing.assert_frame_equal(gaps, importance(FREE, rows, {"error": values}))


def test_an_objective_that_never_changes_has_no_importances() -> None:
    rows = drawn(FREE, 30)
    assert set(importance(FREE, rows, {"error": [0.1] * 30})["reason"]) == {"the same value everywhere"}


def test_no_trials_or_no_objectives_give_empty_tables() -> None:
    nothing = importance(FREE, [], {"error": []})
    assert nothing["axis"].tolist() == list(FREE.axes)
    assert nothing["reason"].str.startswith("0 different").all()
    assert importance(FREE, [], {}).columns.tolist() == nothing.columns.tolist()


@pytest.mark.parametrize(
    ("rows", "values", "repeats", "message"),
    [
        ([{"widht": 1}], [0.1], 10, "assignments: unknown axis 'widht'; did you mean 'width'?"),
        ([{"width": 3, ORDER: "original", "stages.*.units": 1}], [0.1], 10, "width: unknown value 3"),
        ([{"width": 1, ORDER: "original"}], [0.1], 10, "assignments: stages.*.units has no value where it counts"),
        ([], [0.1], 10, "values.error: 1 values for 0 assignments"),
        ([], [], 0, "repeats must be at least 1, not 0"),
    ],
)
def test_an_assignment_outside_of_the_space_is_refused(
    rows: list[Assignment], values: list[float], repeats: int, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        importance(FREE, rows, {"error": values}, repeats=repeats)
    assert str(caught.value).startswith(message)
