"""Training: the same numbers for the same spec, pairing by seed, separate splits, and divergence with its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from resnet_space import Architecture, build
from search.data import DataSet, Images, Split, batches, load
from search.training import checkpoint, evaluation
from search.training import train as training
from search.training.evaluation import errors, missed
from search.training.execution import Execution
from search.training.train import train
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

DROPOUT = {"kind": "dropout", "p": 0.5}
CROP = {"pad": 1, "flip": True}


def ended(events: list[Event]) -> Finished:
    """Return the end of a trial, and check that there is only one."""
    ends = [event for event in events if isinstance(event, Finished)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return ends[0]


def numbers(events: list[Event]) -> list[tuple[Any, ...]]:
    """Everything that was measured, without durations."""
    clocks = ("seconds", "images_per_second", "traceback", "latency_ms")
    return [
        tuple(getattr(event, field.name) for field in fields(event) if field.name not in clocks)
        for event in events
        if not isinstance(event, Started)
    ]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Record every batch of a training run."""
    batches_seen: list[tuple[Tensor, Tensor]] = []

    def watched(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in batches(split, **settings):
            if "seed" in settings:
                batches_seen.append((x.clone(), y.clone()))
            yield x, y

    monkeypatch.setattr(training, "batches", watched)
    return batches_seen


def test_the_same_spec_gives_the_same_weights_and_numbers(trial: Trial, digits: Images, tmp_path: Path) -> None:
    spec = trial(net=trial().architecture.replace(shortcut=DROPOUT), augmentation=CROP)
    first = list(train(spec, digits, folder=tmp_path / "a"))
    torch.rand(5)
    second = list(train(spec, digits, folder=tmp_path / "b"))
    assert numbers(first) == numbers(second)
    a, b = ((tmp_path / name / checkpoint.WEIGHTS).read_bytes() for name in "ab")
    assert a == b


def test_recomputing_changes_no_number(trial: Trial, digits: Images) -> None:
    dense = {"unit.shortcut": "concatenation", "unit.branch": "dense_bottleneck", "unit.order": "full_preactivation"}
    spec = trial(net=trial().architecture.assign(dense))
    kept = list(train(spec, digits, probes=[0, 1]))
    anew = list(train(spec, digits, probes=[0, 1], execution=Execution(recompute=True)))
    assert numbers(kept) == numbers(anew)


def test_units_that_batches_skip_keep_their_momentum(trial: Trial, digits: Images) -> None:
    spec = trial(net=trial().architecture.replace(survival=0.2))
    assert ended(list(train(spec, digits))).status == "complete"


def test_another_seed_gives_other_numbers_and_another_order(
    trial: Trial, digits: Images, seen: list[tuple[Tensor, Tensor]]
) -> None:
    loss = [next(e.loss for e in train(trial(seed=seed, epochs=1), digits) if isinstance(e, Epoch)) for seed in (0, 1)]
    assert loss[0] != loss[1]
    half = len(seen) // 2
    assert not all(torch.equal(a[1], b[1]) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_a_seed_gives_every_arm_the_same_images_in_the_same_order(
    trial: Trial, digits: Images, seen: list[tuple[Tensor, Tensor]]
) -> None:
    net = trial().architecture
    arms = (net, net.replace(shortcut=DROPOUT), net.replace(order="full_preactivation").assign({"width": 2}))
    by_arm = []
    for arm in arms:
        seen.clear()
        list(train(trial(net=arm, seed=3, epochs=2, augmentation=CROP), digits))
        by_arm.append(list(seen))
    assert len(by_arm[0]) == 14
    for other in by_arm[1:]:
        for (x, y), (other_x, other_y) in zip(by_arm[0], other, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)
    assert not torch.equal(by_arm[0][0][0], by_arm[0][7][0]), "another epoch, another order"


def test_a_small_net_learns_digits(trial: Trial) -> None:
    data = DataSet(name="digits")
    spec = trial(net=trial().architecture.assign({"width": 2}), data=data, epochs=4, batch_size=64)
    end = ended(list(train(spec, load(data))))
    assert end.test_error is not None
    assert end.test_error < 0.1, "chance is 0.9"


def test_events_report_start_epochs_and_end_in_order(trial: Trial, digits: Images) -> None:
    start, *epochs, end = train(trial(epochs=2), digits)
    assert isinstance(start, Started)
    assert (start.step, start.device) == (0, "cpu")
    assert [(epoch.epoch, epoch.step) for epoch in epochs] == [(1, 7), (2, 14)]
    assert isinstance(end, Finished)
    assert end.validation_error == epochs[-1].validation_error
    assert end.latency_ms is not None
    assert end.latency_ms > 0
    assert end.seconds == sum(epoch.seconds for epoch in epochs)


def test_the_top_5_error_is_measured_with_the_test_error(trial: Trial, digits: Images) -> None:
    end = ended(list(train(trial(epochs=2), digits)))
    assert end.test_error is not None
    assert end.top5_error is not None
    assert 0 < end.top5_error < end.test_error
    few = replace(digits, classes=9)
    assert ended(list(train(trial(epochs=1), few))).top5_error is None, "only with at least ten classes"


class Ranked(nn.Module):
    """Gives each image the logits 9, 8, ..., 0, shifted by the image's first pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x[:, 0, 0, 0].round().long()
        return torch.stack([torch.arange(9.0, -1, -1).roll(int(by)) for by in first])


def test_an_image_is_missed_if_its_class_is_not_among_the_most_likely_ones(trial: Trial, digits: Images) -> None:
    """The class of image i is the one of rank i: of ten images, nine are missed within 1, five within 5."""
    x = torch.arange(10).reshape(-1, 1, 1, 1).expand(10, 1, 8, 8).to(torch.uint8)
    split = Split(x, torch.arange(10) * 2 % 10)
    images = replace(digits, mean=(0.0,), std=(1.0,))
    found = missed(Ranked(), split, images, trial().recipe, "cpu", within=(1, 5, 10))
    assert found == [[0.9], [0.5], [0.0]]


@pytest.mark.parametrize(("steps", "behind"), [(1, [1]), (7, [7]), (10, [7, 10]), (15, [7, 14, 15])])
def test_the_last_epoch_is_partial_if_steps_are_not_a_multiple(
    steps: int, behind: list[int], trial: Trial, digits: Images
) -> None:
    events = list(train(trial(steps=steps), digits))
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [epoch.step for epoch in epochs] == behind
    assert ended(events).status == "complete"


def test_training_error_and_loss_are_means_over_the_images_seen(
    trial: Trial, digits: Images, seen: list[tuple[Tensor, Tensor]]
) -> None:
    spec = trial(steps=1, lr=1e-9)
    epoch = next(event for event in train(spec, digits) if isinstance(event, Epoch))
    logits = build(spec.architecture, spec.seed).train()(seen[0][0]).detach()
    assert epoch.train_error == float((logits.argmax(1) != seen[0][1]).double().mean())
    assert epoch.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, seen[0][1])), rel=1e-5)


class Guarded(Split):
    """A split that records when its images are read."""

    def __getattribute__(self, name: str) -> Any:
        if name == "x":
            object.__getattribute__(self, "read")()
        return super().__getattribute__(name)

    def calling(self, read: Callable[[], None]) -> Guarded:
        object.__setattr__(self, "read", read)
        return self


def test_the_test_split_is_read_only_at_the_end(trial: Trial, digits: Images) -> None:
    happened: list[str] = []
    guarded = Guarded(digits.test.x, digits.test.y).calling(lambda: happened.append("test read"))
    for event in train(trial(epochs=2), replace(digits, test=guarded)):
        happened.append(type(event).__name__)
    assert happened[:3] == ["Started", "Epoch", "Epoch"]
    assert happened[3:-1] == ["test read"] * (len(happened) - 4)
    assert len(happened) > 4
    assert happened[-1] == "Finished"


def test_the_test_split_is_measured_once(trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Split] = []

    def watched(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        measured.append(split)
        return batches(split, **settings)

    monkeypatch.setattr(evaluation, "batches", watched)
    list(train(trial(epochs=3), digits))
    assert [split is digits.test for split in measured] == [False, False, False, True]
    assert all(split is digits.validation for split in measured[:3])


def test_a_diverged_trial_never_sees_the_test_split(trial: Trial, digits: Images) -> None:
    def never() -> None:
        raise AssertionError("test split read")

    guarded = Guarded(digits.test.x, digits.test.y).calling(never)
    assert ended(list(train(trial(lr=1e30), replace(digits, test=guarded)))).status == "diverged"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [1, 5, 7, 8, 20])
def test_divergence_names_the_step_of_the_first_bad_loss(
    step: int, bad: float, trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0

    def poisoned(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal taken
        for x, y in batches(split, **settings):
            taken += "seed" in settings
            yield (x * bad if taken == step and "seed" in settings else x), y

    monkeypatch.setattr(training, "batches", poisoned)
    events = list(train(trial(epochs=3), digits))
    end = ended(events)
    assert (end.status, end.reason) == ("diverged", f"loss is nan at step {step}")
    assert (end.test_error, end.validation_error) == (None, None)
    assert sum(isinstance(event, Epoch) for event in events) == (step - 1) // 7, "whole epochs before it are told"


def test_an_image_that_is_not_a_number_ends_the_trial_at_its_batch(trial: Trial, digits: Images) -> None:
    spec, x = trial(epochs=2, seed=4), digits.train.x.float()
    x[11] = float("nan")
    images = replace(digits, train=Split(x, digits.train.y))
    order = batches(images.train, batch_size=32, mean=digits.mean, std=digits.std, seed=4, epoch=0)
    step = next(number for number, (batch, _) in enumerate(order, start=1) if batch.isnan().any())
    assert ended(list(train(spec, images))).reason == f"loss is nan at step {step}"


def test_a_huge_learning_rate_diverges_and_does_not_crash(trial: Trial, digits: Images) -> None:
    end = ended(list(train(trial(lr=1e9, schedule="constant", epochs=2), digits)))
    assert end.status == "diverged"
    assert end.reason.startswith("loss is nan at step ")


def test_weights_that_the_last_step_blew_up_are_diverged_and_not_complete(
    trial: Trial, digits: Images, tmp_path: Path
) -> None:
    end = ended(list(train(trial(lr=1e39, schedule="constant", steps=1), digits, folder=tmp_path)))
    assert (end.status, end.reason) == ("diverged", "weights are not finite after step 1")
    assert end.test_error is None
    assert not (tmp_path / checkpoint.WEIGHTS).exists()


def test_the_saved_weights_reproduce_the_test_error(trial: Trial, digits: Images, tmp_path: Path) -> None:
    spec = trial(epochs=2)
    end = ended(list(train(spec, digits, folder=tmp_path)))
    model = build(spec.architecture)
    model.load_state_dict(load_file(tmp_path / checkpoint.WEIGHTS))
    assert errors(model, digits.test, digits, spec.recipe, "cpu") == [end.test_error]
    assert [end.test_error] != errors(build(spec.architecture), digits.test, digits, spec.recipe, "cpu")


def test_error_is_the_fraction_of_wrong_answers_in_evaluation_mode(
    trial: Trial, digits: Images, tiny_net: Architecture
) -> None:
    model = build(tiny_net).train()
    [measured] = errors(model, digits.validation, digits, trial().recipe, "cpu")
    x = (digits.validation.x.float() - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        wrong = (model.eval()(x).argmax(1) != digits.validation.y).sum()
    assert measured == int(wrong) / len(digits.validation)


def test_without_a_folder_nothing_is_written(trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("save", "save_weights", "load", "remove_checkpoints"):
        monkeypatch.setattr(checkpoint, name, lambda *_: pytest.fail("touched a checkpoint"))
    assert ended(list(train(trial(epochs=1), digits))).status == "complete"
