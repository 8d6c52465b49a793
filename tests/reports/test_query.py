"""Questions to a stored run: the front of an ablation."""

from __future__ import annotations

from collections.abc import Callable

from ablations.run import AblationRun
from resnet_space import api


def test_no_network_of_an_ablation_is_confirmed_because_its_seeds_choose_the_front(
    ablation: Callable[..., AblationRun],
) -> None:
    run = ablation({"base": [0.10, 0.12, 0.11], "good": [0.05, 0.06, 0.07]})
    points = api.front(run.folder.path).points
    assert points
    assert [point.n for point in points] == [3] * len(points)
    assert not any(point.confirmed for point in points)
