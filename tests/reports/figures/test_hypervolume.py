"""A hypervolume is drawn trial by trial, together with that of random search."""

from __future__ import annotations

from drawings import axis_of, labelled

from reports.figures.hypervolume import hypervolume


def test_the_hypervolume_is_constant_from_one_trial_to_the_next() -> None:
    trace = [0.0, 1.5, 1.5, 4.0]
    [steps] = [found for found in axis_of(hypervolume(trace)).lines if found.get_label() == "this search"]
    assert steps.get_drawstyle() == "steps-post"
    assert steps.get_xydata().tolist() == [[1, 0], [2, 1.5], [3, 1.5], [4, 4]]


def test_random_search_is_drawn_as_its_mean_and_its_range() -> None:
    axes = axis_of(hypervolume([1, 2], random=[[0, 1], [1, 3]]))
    assert labelled(axes, "random search, mean of 2") == [(1, 0.5), (2, 2)]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 3)


def test_trials_that_ended_early_are_ticks_by_status() -> None:
    axes = axis_of(hypervolume([1, 2, 3], ended={"pruned": [2], "diverged": [1, 3]}))
    assert [x for x, _ in labelled(axes, "pruned")] == [2]
    assert [x for x, _ in labelled(axes, "diverged")] == [1, 3]


def test_the_label_of_a_hypervolume_names_its_objectives() -> None:
    label = axis_of(hypervolume([1, 2], objectives=["error", "macs"])).get_ylabel()
    assert " ".join(label.split()) == "hypervolume, validation error × MACs"
