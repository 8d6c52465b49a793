"""Signals are averaged over seeds, and drawn at the start and at the end of the training in one figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from ablations.run import AblationRun
from reports.document.signal_figures import propagation, signals
from search.trials.events import Probe

Make = Callable[..., AblationRun]


def probe(gradient: list[float | None], gain: list[float | None]) -> Probe:
    return Probe("k", 0, gradient, gain, [1.0] * len(gain), [0.5] * len(gain))


def test_gains_are_multiplied_over_depth_and_averaged_over_seeds() -> None:
    found = signals([probe([1.0, 1.0, 1.0], [0.5, 0.5, 1.0]), probe([1.0, 1.0, 1.0], [0.5, 0.5, 0.0])])
    assert found["product"] == pytest.approx([0.5, 0.25, 0.125])
    assert found["dead"] == [0.5, 0.5, 0.5]


def test_gradients_are_averaged_with_the_geometric_mean() -> None:
    assert signals([probe([1.0], [1.0]), probe([100.0], [1.0])])["gradient"] == pytest.approx([10.0])


def test_missing_seeds_are_left_out_and_a_signal_without_any_seed_is_nan() -> None:
    found = signals([probe([None, None], [1.0, 1.0]), probe([4.0, None], [1.0, 1.0])])
    assert found["gradient"][0] == pytest.approx(4.0)
    assert math.isnan(found["gradient"][1])
    assert signals([]) == {}


def probed(run: AblationRun, *epochs: int) -> AblationRun:
    """Return the run with a probe of each trial after each of these epochs."""
    numbers = [1.0, 0.5]
    probes = [
        Probe(record.key, epoch, numbers, numbers, numbers, numbers) for record in run.records for epoch in epochs
    ]
    return replace(run, probes=probes)


def test_the_start_and_the_end_are_in_one_figure_with_a_row_for_each_signal(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.11], "other": [0.2, 0.22]})
    (picture,) = propagation(probed(run, 0, 10))
    assert picture.stem == "propagation"
    assert "at initialisation and after epoch 10" in picture.caption
    axes = picture.figure.axes
    assert len(axes) == 8
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert all(left.get_ylabel() for left in axes[::2])


def test_of_many_times_the_first_and_the_last_are_drawn(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.11], "other": [0.2, 0.22]})
    (picture,) = propagation(probed(run, *range(11)))
    assert picture.caption.endswith("4 of 11 times are drawn.")
    titles = [axes.get_title(loc="left") for axes in picture.figure.axes[:4]]
    assert (titles[0], titles[-1]) == ("at initialisation", "after epoch 10")


def test_without_a_finite_signal_there_is_no_figure(ablation: Make) -> None:
    run = ablation({"base": [0.1, 0.11], "other": [0.2, 0.22]})
    nothing: list[float | None] = [None, None]
    probes = [Probe(record.key, 0, nothing, nothing, nothing, nothing) for record in run.records]
    assert propagation(replace(run, probes=probes)) == []
    assert propagation(run) == []
