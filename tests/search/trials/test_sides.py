"""A network is trained, and its kernels are checked, on images of each side of the recipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resnet_space import InputError, preset
from search.kernels.soundness import KernelReport
from search.training import fusion_speedup
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.sides import at_sides
from search.trials.trial import TrialSpec

GROWING = {"sides": {"first": 4, "stages": 3}}


def test_the_networks_differ_only_in_their_images(trial: Callable[..., TrialSpec]) -> None:
    spec = trial(augmentation=GROWING)
    found = at_sides(spec.architecture, spec.recipe)
    assert [net.input_shape for net in found] == [(1, 4, 4), (1, 6, 6), (1, 8, 8)]
    assert found[-1] is spec.architecture
    assert at_sides(spec.architecture, trial().recipe) == (spec.architecture,)


def test_a_layer_as_large_as_the_image_is_refused() -> None:
    recipe = Recipe.of({"epochs": 1, "augmentation": {"sides": {"first": 16}}})
    net = preset("resnet20").assign(
        {
            "stem": {"kernel": "full", "channels": 8},
            "stages": [{"units": 1, "channels": 8}],
        }
    )
    with pytest.raises(InputError, match=rf"sides: network {net.key} has a layer as large as the image"):
        at_sides(net, recipe)


def test_images_too_small_for_a_network_are_refused() -> None:
    recipe = Recipe.of({"epochs": 1, "augmentation": {"sides": {"first": 2}}})
    with pytest.raises(InputError, match="sides: 2 is too small for network"):
        at_sides(preset("resnet50"), recipe)


@pytest.mark.parametrize("seeds", [1, 2])
def test_kernels_are_checked_for_each_side(
    seeds: int, trial: Callable[..., TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[tuple[int, ...]]()

    def record(_: object, *nets: object) -> KernelReport:
        seen.append(tuple(net.input_shape[1] for net in nets))  # type: ignore[attr-defined]
        return KernelReport()

    monkeypatch.setattr(fusion_speedup, "check_kernels", record)
    specs = [trial(seed=seed, augmentation=GROWING) for seed in range(seeds)]
    fusion_speedup.check_job_kernels(specs, Resources())
    together = [(4, 4), (6, 6), (8, 8)] if seeds == 2 else []
    assert sorted(seen) == sorted([(4,), (6,), (8,), *together])
