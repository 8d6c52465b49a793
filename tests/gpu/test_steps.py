"""Every way to run a training step on a GPU gives the losses of the simplest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from search.data import Images, batches
from search.training.members import Group, Member
from search.training.step import WARMUP_STEPS, RecordedStepper, make_stepper
from search.trials.trial import TrialSpec

Specs = Callable[..., list[TrialSpec]]

AUTOCAST = pytest.mark.parametrize("autocast", ["none", "bf16"])
BATCH = 32
NEAR: dict[str, Any] = {"rtol": 0.02, "atol": 0.02}
"""Tolerance for sums in another order: atomic additions are not bit-reproducible."""
ROUGHLY: dict[str, Any] = {"rtol": 0.05, "atol": 0.05}
"""Tolerance for other kernels, in bf16 or TF32."""


def group(specs: Sequence[TrialSpec], device: str, **settings: Any) -> Group:
    made = Group([Member.of(spec, None, device, **settings) for spec in specs])
    made.model.train()
    return made


def losses(
    specs: Sequence[TrialSpec], images: Images, device: str, *, recorded: bool = False, **settings: Any
) -> Tensor:
    """Return the losses (steps, seeds) of one epoch with a smaller last batch and a falling learning rate."""
    take = make_stepper(group(specs, device, **settings), device, recorded=recorded)
    split = images.train.to(device)
    orders = [
        batches(
            split,
            batch_size=spec.recipe.batch_size,
            mean=images.mean,
            std=images.std,
            seed=spec.seed,
            augmentation=spec.recipe.augmentation,
            device=device,
        )
        for spec in specs
    ]
    found = []
    for number, own in enumerate(zip(*orders, strict=True)):
        xs, ys = zip(*own, strict=True)
        found.append(take(xs, ys, specs[0].recipe.lr / (1 + number))[0])
    if recorded and isinstance(take, RecordedStepper):
        assert take.launch is not None, "it was recorded"
    return torch.stack(found).float().cpu()


def test_eager_steps_give_the_losses_of_the_cpu(device: str, specs: Specs, images: Images) -> None:
    some = specs(augmentation={"pad": 2, "flip": True})
    torch.testing.assert_close(losses(some, images, device), losses(some, images, "cpu"), **ROUGHLY)


def test_bf16_gives_the_losses_of_float32(device: str, specs: Specs, images: Images) -> None:
    found = losses(specs(autocast="bf16"), images, device)
    torch.testing.assert_close(found, losses(specs(), images, device), **ROUGHLY)


@AUTOCAST
@pytest.mark.parametrize("seeds", [1, 2, 8])
def test_a_graph_gives_the_losses_of_its_kernels(
    seeds: int, autocast: str, device: str, specs: Specs, images: Images
) -> None:
    some = specs(seeds, autocast=autocast)
    torch.testing.assert_close(losses(some, images, device, recorded=True), losses(some, images, device), **NEAR)


@AUTOCAST
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "graph"])
def test_every_batch_norm_counts_every_step(
    seeds: int, autocast: str, recorded: bool, device: str, specs: Specs
) -> None:
    some = specs(seeds, autocast=autocast)
    trained = group(some, device)
    take = make_stepper(trained, device, recorded=recorded)
    x, y = torch.randn(BATCH, *some[0].architecture.input_shape), torch.zeros(BATCH, dtype=torch.long)
    for _ in range(WARMUP_STEPS + 3):
        take([x.to(device)] * seeds, [y.to(device)] * seeds, 0.01)
    counts = {name: int(n) for name, n in trained.model.named_buffers() if name.endswith("num_batches_tracked")}
    assert counts == dict.fromkeys(counts, WARMUP_STEPS + 3) != {}


@AUTOCAST
@pytest.mark.parametrize("seeds", [2, 8])
@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "graph"])
def test_fused_seeds_have_the_same_losses_as_alone(
    seeds: int, autocast: str, recorded: bool, device: str, specs: Specs, images: Images
) -> None:
    some = specs(seeds, autocast=autocast)
    alone = torch.cat([losses([spec], images, device) for spec in some], 1)
    torch.testing.assert_close(losses(some, images, device, recorded=recorded), alone, **ROUGHLY)


@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "graph"])
def test_a_compiled_step_gives_the_losses_of_an_eager_one(
    recorded: bool, gpu: str, specs: Specs, images: Images
) -> None:
    found = losses(specs(autocast="bf16", compile=True), images, gpu, recorded=recorded)
    torch.testing.assert_close(found, losses(specs(autocast="bf16"), images, gpu), **ROUGHLY)


def test_a_graph_draws_new_dropout_masks_at_each_step(device: str, specs: Specs, images: Images) -> None:
    some = specs(changes={"unit.shortcut": {"kind": "dropout", "p": 0.5}})
    torch.testing.assert_close(losses(some, images, device, recorded=True), losses(some, images, device), **NEAR)


def test_stochastic_depth_is_not_recorded_and_learns(device: str, specs: Specs, images: Images) -> None:
    some = specs(changes={"unit.survival": 0.5})
    assert not isinstance(make_stepper(group(some, device), device, recorded=True), RecordedStepper)
    assert losses(some, images, device, recorded=True).isfinite().all()


def test_recomputing_activations_changes_no_loss(device: str, specs: Specs, images: Images) -> None:
    found = losses(specs(), images, device, recompute=True)
    torch.testing.assert_close(found, losses(specs(), images, device), **NEAR)
