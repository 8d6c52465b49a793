"""How many jobs fit a cluster's nodes."""

from __future__ import annotations

import pytest

from resnet_space.errors import InputError
from search.running.capacity import check, workers
from search.trials.resources import Resources

TWO = [{"CPU": 8, "GPU": 3}, {"CPU": 4}]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"cpus": 1}, 12),
        ({"cpus": 3}, 3),
        ({"cpus": 0.5}, 24),
        ({"cpus": 1, "gpus": 1}, 3),
        ({"cpus": 1, "gpus": 2}, 1),
        ({"cpus": 1, "gpus": 0.5}, 6),
        ({"cpus": 1, "gpus": 0.3}, 8),
        ({"cpus": 4, "gpus": 0.3}, 2),
        ({"cpus": 1, "at_once": 5}, 5),
        ({"cpus": 1, "gpus": 4}, 1),
    ],
)
def test_jobs_are_counted_node_by_node(asked: dict[str, float], number: int) -> None:
    assert workers(TWO, Resources(**asked)) == number


@pytest.mark.parametrize(("gpus", "number"), [(0.7, 3), (0.6, 3), (0.4, 6), (0.34, 6)])
def test_a_fraction_is_of_one_gpu(gpus: float, number: int) -> None:
    assert workers([{"CPU": 8, "GPU": 3}], Resources(cpus=1, gpus=gpus)) == number


def test_cpus_and_gpus_of_different_nodes_do_not_fit_a_job() -> None:
    with pytest.raises(InputError, match="no node of the cluster has both"):
        check([{"CPU": 8}, {"CPU": 1, "GPU": 1}], Resources(cpus=2, gpus=1))
