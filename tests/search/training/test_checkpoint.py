"""A killed trial resumes bit for bit. A checkpoint is either complete or the previous one, and never runs code."""

from __future__ import annotations

import io
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import forks
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import build
from search.data import Images
from search.training import checkpoint
from search.training.checkpoint import NAME, WEIGHTS, State, with_digest
from search.training.members import beginning
from search.training.train import train
from search.trials.events import Epoch, Event, Finished, Notice, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

DTYPES = (torch.float32, torch.float64, torch.int64, torch.uint8)

RECIPES: dict[str, dict[str, Any]] = {
    # 7 batches per epoch: epochs end after steps 7, 14, 21 and 24. Dropout and crops draw random numbers.
    "dropout": {"steps": 24, "augmentation": {"pad": 1, "flip": True}},
    "warm-up": {"epochs": 4, "lr": 0.05, "warm_up": {"lr": 0.005, "until_error": 0.8}, "nesterov": True},
}


def spec_of(recipe: str, trial: Trial) -> TrialSpec:
    net = trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5})
    return trial(net=net if recipe == "dropout" else trial().architecture, **RECIPES[recipe])


def measured(events: list[Event]) -> list[tuple[Any, ...]]:
    """Everything that was measured, without durations."""
    clocks = ("seconds", "images_per_second", "latency_ms")
    return [
        tuple(getattr(event, field.name) for field in fields(event) if field.name not in clocks)
        for event in events
        if not isinstance(event, Started | Notice)
    ]


@pytest.fixture(scope="module", params=RECIPES)
def undisturbed(
    request: pytest.FixtureRequest, trial: Trial, digits: Images, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialSpec, list[tuple[Any, ...]], bytes]:
    """A spec, its events when undisturbed, and its weights."""
    folder = tmp_path_factory.mktemp("undisturbed")
    spec = spec_of(request.param, trial)
    events = list(train(spec, digits, folder=folder))
    return spec, measured(events), (folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize("told", [1, 2, 3, 4, 5, 6], ids=lambda told: f"after {told} events")
def test_a_trial_stopped_anywhere_ends_with_the_same_bits(
    told: int, undisturbed: tuple[TrialSpec, list[tuple[Any, ...]], bytes], digits: Images, tmp_path: Path
) -> None:
    spec, events, weights = undisturbed
    stopped = train(spec, digits, folder=tmp_path)
    list(islice(stopped, told))
    stopped.close()
    torch.manual_seed(999)
    torch.rand(17)
    again = list(train(spec, digits, folder=tmp_path))
    assert measured(again) == events
    assert (tmp_path / WEIGHTS).read_bytes() == weights


def test_a_trial_stopped_again_and_again_ends_with_the_same_bits(
    undisturbed: tuple[TrialSpec, list[tuple[Any, ...]], bytes], digits: Images, tmp_path: Path
) -> None:
    spec, events, weights = undisturbed
    for told in (2, 3, 4, 5):
        stopped = train(spec, digits, folder=tmp_path)
        list(islice(stopped, told))
        stopped.close()
        torch.manual_seed(told)
    assert measured(list(train(spec, digits, folder=tmp_path))) == events
    assert (tmp_path / WEIGHTS).read_bytes() == weights


def test_a_resumed_trial_starts_after_its_checkpoint_and_reports_its_history(
    trial: Trial, digits: Images, tmp_path: Path
) -> None:
    stopped = train(trial(epochs=4), digits, folder=tmp_path)
    before = list(islice(stopped, 3))
    stopped.close()
    start, *again = train(trial(epochs=4), digits, folder=tmp_path)
    assert isinstance(start, Started)
    assert start.step == 14
    assert again[:2] == before[1:], "the very same epochs, clocks too"


def test_a_trial_whose_end_was_not_received_is_not_trained_again(
    trial: Trial, digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = train(trial(), digits, folder=tmp_path)
    end = list(islice(lost, 5))[-1]
    assert isinstance(end, Finished)
    lost.close()
    monkeypatch.setattr(checkpoint, "save", lambda *_: pytest.fail("trained again"))
    start, *_, again = train(trial(), digits, folder=tmp_path)
    assert isinstance(start, Started)
    assert isinstance(again, Finished)
    assert start.step == 21
    assert again == replace(end, latency_ms=again.latency_ms)


def test_a_finished_trial_keeps_its_weights_and_nothing_else(trial: Trial, digits: Images, tmp_path: Path) -> None:
    list(train(trial(), digits, folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]


TRAINS = """
import sys
from pathlib import Path
from search.data import load
from search.training.train import train
from search.trials.trial import TrialSpec

spec = TrialSpec.from_json(sys.argv[1])
for event in train(spec, load(spec.data), folder=Path(sys.argv[2])):
    print(type(event).__name__, getattr(event, "epoch", ""), flush=True)
"""


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "options": {
        "optimizer": "adamw",
        "decay_norms_and_biases": False,
        "clip_norm": 0.5,
        "accumulation": 2,
        "averaging": {"kind": "ema", "decay": 0.9},
        "warm_up": {"kind": "linear", "epochs": 6},
        "schedule": "cosine",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("fields", OPTIONS.values(), ids=OPTIONS)
def test_a_trial_killed_with_sigkill_ends_with_the_same_bits(
    fields: dict[str, Any], trial: Trial, digits: Images, tmp_path: Path
) -> None:
    net = trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5})
    spec = trial(net=net, epochs=25, augmentation={"pad": 1}, **fields)
    whole = list(train(spec, digits, folder=tmp_path / "whole"))
    file = tmp_path / "spec.json"
    file.write_text(spec.to_json())
    with forks.Child(["-c", TRAINS, file, tmp_path / "killed"]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == ["Epoch", "4"]:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    start, *again = train(spec, digits, folder=tmp_path / "killed")
    assert isinstance(start, Started)
    assert 4 * 7 <= start.step < 25 * 7, "killed after epoch 4, before the end"
    assert measured(again) == measured(whole)
    a, b = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "killed"))
    assert a == b


class Gadget:
    """What a planted pickle would do: run any command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


def pickled(gadget: Gadget) -> bytes:
    return with_digest(pickle.dumps(gadget))


def in_an_archive(gadget: Gadget) -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": gadget, "step": 0}, buffer)
    return with_digest(buffer.getvalue())


def in_the_old_format(gadget: Gadget) -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": gadget}, buffer, _use_new_zipfile_serialization=False)
    return with_digest(buffer.getvalue())


@pytest.mark.parametrize("plant", [pickled, in_an_archive, in_the_old_format])
def test_a_planted_pickle_is_moved_away_and_never_run(
    plant: Callable[[Gadget], bytes], trial: Trial, digits: Images, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(plant(Gadget(tmp_path / "owned")))
    *_, end = train(trial(epochs=1), digits, folder=tmp_path)
    assert isinstance(end, Finished)
    assert end.status == "complete"
    assert not (tmp_path / "owned").exists()
    assert (tmp_path / "checkpoint.damaged").exists()


def test_the_planted_pickle_would_have_worked(tmp_path: Path) -> None:
    torch.load(io.BytesIO(in_an_archive(Gadget(tmp_path / "owned"))), weights_only=False)
    assert (tmp_path / "owned").exists()


def test_an_interrupted_write_leaves_the_previous_checkpoint(
    trial: Trial, digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = train(trial(), digits, folder=tmp_path)
    list(islice(stopped, 2))
    before = (tmp_path / NAME).read_bytes()

    def broken(path: Path, _: bytes) -> None:
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(KeyboardInterrupt):
        next(stopped)
    assert (tmp_path / NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_state_is_loaded_as_it_was_saved(trial: Trial, tmp_path: Path) -> None:
    epoch = Epoch("k", 1, 7, 0.1, 2.0, 0.9, 0.8, 0.5, 400.0)
    model = build(trial().architecture)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    checkpoint.save(tmp_path, model, optimizer, State(7, False, [epoch]), "cpu")
    drawn = torch.rand(3)

    other = build(trial().architecture)
    momenta = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    assert checkpoint.load(tmp_path / NAME, other, momenta, "cpu") == State(7, False, [epoch])
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    buffers = [state["momentum_buffer"] for state in momenta.state.values()]
    assert len(buffers) == len(list(model.parameters()))
    assert all(bool((buffer == 1).all()) for buffer in buffers)


def test_a_recipe_without_new_fields_has_checkpoints_that_earlier_versions_wrote(
    trial: Trial, digits: Images, tmp_path: Path
) -> None:
    """So they resume here, and ours there."""
    stopped = train(trial(), digits, folder=tmp_path)
    list(islice(stopped, 2))
    content = torch.load(tmp_path / NAME, weights_only=True)
    state = {"model", "momenta", "param_groups", "rng", "cuda_rng"}
    assert content.keys() == {*state, "step", "warming_up", "before", "level", "history"}
    [(names, _)] = content["momenta"]
    assert {name.partition(".")[2] for name, _ in names} == {"momentum_buffer"}


def test_momenta_have_the_memory_layout_of_their_parameters(trial: Trial, tmp_path: Path) -> None:
    """Otherwise the optimiser's fused step would take another path, with other rounding."""
    model, optimizer = beginning(trial(), "cpu")
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter)
    optimizer.step()
    checkpoint.save(tmp_path, model, optimizer, State(1), "cpu")
    other, momenta = beginning(trial(seed=1), "cpu")
    checkpoint.load(tmp_path / NAME, other, momenta, "cpu")
    for theirs, mine in zip(other.parameters(), model.parameters(), strict=True):
        found, wanted = (each.state[own]["momentum_buffer"] for each, own in ((momenta, theirs), (optimizer, mine)))
        assert torch.equal(found, wanted)
        assert found.stride() == wanted.stride() == theirs.stride()


@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3))))
def test_unpacking_restores_packed_tensors(tensors: list[tuple[torch.dtype, list[int]]]) -> None:
    named = {str(number): torch.rand(shape).mul(9).to(dtype) for number, (dtype, shape) in enumerate(tensors)}
    found = checkpoint.unpacked(checkpoint.packed(named))
    assert found.keys() == named.keys()
    assert all(torch.equal(found[name], named[name]) and found[name].dtype == named[name].dtype for name in named)
