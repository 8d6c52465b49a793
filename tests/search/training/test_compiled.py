"""What is compiled: only full batches, once per shape, and every network of a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from search.data import Images
from search.training import evaluation, members, step
from search.training.members import Group, Member
from search.training.train import train, train_together
from search.trials.events import Epoch, Finished
from search.trials.trial import TrialSpec

pytestmark = pytest.mark.slow

Trial = Callable[..., TrialSpec]


class Backend:
    """Compiles nothing, and counts graphs and their calls by the shapes of their images."""

    def __init__(self) -> None:
        self.graphs: list[torch.Size] = []
        self.calls: Counter[int] = Counter()
        self.sizes: set[int] = set()

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        assert all(isinstance(value, torch.Tensor) for value in inputs), "sizes that vary are inputs of their own"
        images = next(value for value in inputs if value.dim() == 4 and value.shape[2:] == (8, 8))
        number = len(self.graphs)
        self.graphs.append(images.shape)

        def call(*values: torch.Tensor) -> object:
            self.calls[number] += 1
            self.sizes |= {value.shape[0] for value in values if value.shape[1:] == images.shape[1:]}
            return graph(*values)

        return call


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    counting = Backend()
    monkeypatch.setattr(members.torch, "compile", partial(torch.compile, backend=counting))
    members._forget_others.cache_clear()
    yield counting
    torch.compiler.reset()


@pytest.mark.parametrize("seeds", [1, 2])
def test_full_batches_are_compiled_once_and_the_smaller_last_one_is_not(
    seeds: int, trial: Trial, digits: Images, backend: Backend
) -> None:
    specs = [trial(seed=seed, epochs=2, lr=0.01, compile=True) for seed in range(seeds)]
    events = list(train_together(specs, digits, folders=[None] * seeds))
    assert {event.status for event in events if isinstance(event, Finished)} == {"complete"}
    # Six whole batches an epoch, and one of 8.
    assert backend.graphs == [(32, seeds, 8, 8)]
    assert backend.calls == {0: 12}
    assert backend.sizes == {32}


def test_compiling_changes_no_number_if_the_backend_changes_none(
    trial: Trial, digits: Images, backend: Backend
) -> None:
    found = [list(train(trial(epochs=1, compile=compiled), digits))[-1] for compiled in (False, True)]
    assert found[0].validation_error == found[1].validation_error  # type: ignore[union-attr]


# Which torch means to hide: its filter goes by what is printed, and here a warning is raised.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_network_in_bf16_is_compiled_once_too_and_computes_the_same(
    seeds: int, trial: Trial, digits: Images, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bf16 on a CPU, as on a GPU."""
    autocast = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    monkeypatch.setattr(evaluation, "autocast", lambda *_: autocast())
    monkeypatch.setattr(step, "autocast", lambda *_: autocast())
    found = []
    for compiled in (False, True):
        specs = [trial(seed=seed, epochs=2, lr=0.01, compile=compiled) for seed in range(seeds)]
        events = train_together(specs, digits, folders=[None] * seeds)
        found.append([event.loss for event in events if isinstance(event, Epoch)])
    assert found[0] == found[1]
    assert backend.calls == {0: 12}


def test_the_tenth_network_of_a_process_is_compiled_too(trial: Trial, backend: Backend) -> None:
    x = torch.zeros(4, 1, 8, 8)
    for number in range(10):
        net = trial().architecture.assign({"width": 0.25 * (1 + number)})
        group = Group([Member.of(trial(net=net, compile=True), None, "cpu")])
        group.model.train()
        for _ in range(2):
            group.logits([x])
    assert len(backend.graphs) == 10
    assert set(backend.calls.values()) == {2}


def test_seeds_of_a_network_are_compiled_once(trial: Trial, backend: Backend) -> None:
    for seed in range(10):
        group = Group([Member.of(trial(seed=seed, compile=True), None, "cpu")])
        group.model.train()
        group.logits([torch.zeros(4, 1, 8, 8)])
    assert len(backend.graphs) == 1
    assert backend.calls == {0: 10}


def test_a_trial_that_is_not_compiled_does_not_reset_the_compiler(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.compiler, "reset", lambda: pytest.fail("loads the compiler, which takes seconds"))
    list(train(trial(steps=1), digits))
