"""A step recorded is the step that it is a record of; what cannot be recorded goes kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from resnet_space import Architecture
from search.data import Images, batches
from search.members import Group, Member
from search.step import BEFORE_RECORDING, Eager, Recorded, Told, recordable, step, stepping
from search.trial import TrialSpec

Trial = Callable[..., TrialSpec]


class Played(Recorded):
    """With the kernels that a graph would launch, launched one by one: all of a recording but CUDA's part."""

    def aside(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Told:
        return step(self.group, xs, ys, self.device)

    def record(self) -> Callable[[], Told]:
        self.recorded_at = self.taken
        return lambda: step(self.group, self.xs, self.ys, self.device)


def group(specs: Sequence[TrialSpec], device: str = "cpu") -> Group:
    made = Group([Member.of(spec, None, device) for spec in specs])
    made.model.train()
    return made


def numbers(take: Callable[..., Told], specs: Sequence[TrialSpec], images: Images, device: str = "cpu") -> Tensor:
    """Losses and mistakes of an epoch whose last batch is smaller, at a rate that falls."""
    split = type(images.train)(images.train.x[:300], images.train.y[:300])
    order = [
        batches(split, batch_size=32, mean=images.mean, std=images.std, seed=spec.seed, device=device) for spec in specs
    ]
    told = []
    for number, own in enumerate(zip(*order, strict=True)):
        xs, ys = zip(*own, strict=True)
        losses, wrong = take(xs, ys, 0.1 / (1 + number))
        told.append(torch.cat([losses, wrong]))
    return torch.stack(told).cpu()


@pytest.mark.parametrize("seeds", [1, 2])
def test_places_of_their_own_and_a_rate_that_is_a_tensor_change_no_number(
    seeds: int, trial: Trial, digits: Images
) -> None:
    specs = [trial(seed=seed) for seed in range(seeds)]
    played = Played(group(specs), "cpu")
    assert torch.equal(
        numbers(played, specs, digits), numbers(stepping(group(specs), "cpu", recorded=True), specs, digits)
    )
    assert played.recorded_at == BEFORE_RECORDING
    assert played.taken == BEFORE_RECORDING + 1, "the last batch of the epoch is smaller"


def test_on_the_cpu_nothing_is_recorded(trial: Trial) -> None:
    assert isinstance(stepping(group([trial()]), "cpu", recorded=True), Eager)
    assert not recordable(group([trial()]), "cpu")


def test_a_net_that_draws_what_it_skips_is_not_recorded(trial: Trial, tiny_net: Architecture) -> None:
    skipping = tiny_net.assign({"unit.survival": 0.5})
    assert not recordable(group([trial(net=skipping)]), "cuda")
    assert recordable(group([trial()]), "cuda")
    again = Group([Member.of(trial(), None, "cpu", recompute=True)])
    assert not recordable(again, "cuda"), "what is computed again asks for the state of random numbers"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_graph_gives_the_numbers_of_its_kernels(seeds: int, trial: Trial, digits: Images) -> None:
    specs = [trial(seed=seed) for seed in range(seeds)]
    eager = numbers(stepping(group(specs, "cuda"), "cuda"), specs, digits, "cuda")
    graph = numbers(stepping(group(specs, "cuda"), "cuda", recorded=True), specs, digits, "cuda")
    # Losses alone: a sum in another order may change which of two close logits is the larger.
    torch.testing.assert_close(graph[:, :seeds], eager[:, :seeds], rtol=2e-2, atol=2e-2)
