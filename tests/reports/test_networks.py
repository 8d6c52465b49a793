"""A network of a search is described by the values of its axes, one of an ablation by its arms."""

from __future__ import annotations

from reports.networks import by_arms, by_axes, short_names


def test_a_network_is_described_by_the_values_of_the_axes_that_it_has() -> None:
    chosen = {
        "plain": {"unit.shortcut.kind": "identity", "stages.*.units": 3, "width": 1.0},
        "gated": {
            "unit.shortcut.kind": "exclusive_gate",
            "unit.shortcut.gate_bias": -6,
            "stages.*.units": 2,
            "width": 0.25,
        },
    }
    assert by_axes(chosen) == {
        "plain": "shortcut=identity, units=3, width=1",
        "gated": "shortcut=exclusive_gate, gate_bias=-6, units=2, width=0.25",
    }


def test_axes_with_the_same_last_part_keep_their_path() -> None:
    axes = ["stages.0.units", "stages.1.units", "width"]
    assert short_names(axes) == {
        "stages.0.units": "stages.0.units",
        "stages.1.units": "stages.1.units",
        "width": "width",
    }


def test_arms_with_one_network_are_named_together() -> None:
    assert by_arms({"identity": "k1", "constant scaling 1, 1": "k1", "gate": "k2"}) == {
        "k1": "identity = constant scaling 1, 1",
        "k2": "gate",
    }
