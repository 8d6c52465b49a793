"""Trials that train together have the numbers of single ones except for rounding, and end independently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import FUSABLE, MIXED
from safetensors.torch import load_file
from torch import Tensor

from resnet_space.fused import Unfusable
from search.data import Images, Split, batches
from search.training import checkpoint, evaluation
from search.training import train as training
from search.training.members import Group, Member, next_to_train
from search.training.train import train, train_together
from search.trials.events import Epoch, Event, Finished, Probe, Started
from search.trials.predictions import Predictions
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

AN_EPOCH = 3
SEEDS = (0, 1, 4)
CROP = {"pad": 1, "flip": True}


def together(specs: Sequence[TrialSpec], images: Images, root: Path | None = None, **settings: Any) -> Iterator[Event]:
    folders = [root / spec.key if root else None for spec in specs]
    return train_together(specs, images, folders=folders, **settings)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / checkpoint.WEIGHTS)


def of(key: str, events: Sequence[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if event.key == key and isinstance(event, kind)]


def numbers(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Everything that was measured, without durations."""
    clocks = ("seconds", "images_per_second", "latency_ms")
    return [
        tuple(value for name, value in vars(event).items() if name not in clocks)
        for event in events
        if not isinstance(event, Started)
    ]


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    """Three batches of 32 per epoch and 50 images for validation: only the agreement of trials is tested here."""
    sizes = {"train": 32 * AN_EPOCH, "validation": 50, "test": 50}
    cut = {name: Split(getattr(digits, name).x[:size], getattr(digits, name).y[:size]) for name, size in sizes.items()}
    return replace(digits, **cut)


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train in float64. In float32, rounding can move the input of a ReLU or a maximum across its kink."""

    def doubled(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x.double(), y) for x, y in batches(split, **settings))

    for module in (training, evaluation):
        monkeypatch.setattr(module, "batches", doubled)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def differences(specs: Sequence[TrialSpec], images: Images, root: Path) -> Iterator[tuple[str, float]]:
    """Return by name how far each tensor is from the trial's own one; relatively for values above 1."""
    list(together(specs, images, root / "together"))
    for spec in specs:
        list(train(spec, images, folder=root / "alone"))
        found, wanted = weights(root / "together" / spec.key), weights(root / "alone")
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            yield name, float(((found[name] - tensor).abs() / tensor.abs().clamp(min=1)).max())


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("changes", FUSABLE.values(), ids=FUSABLE)
def test_weights_and_statistics_after_twenty_steps_are_those_of_each_seed_alone(
    changes: dict[str, Any], trial: Trial, few: Images, tmp_path: Path
) -> None:
    net = trial().architecture.assign(changes)
    specs = [trial(net=net, seed=seed, steps=20, batch_size=8, lr=0.01, augmentation=CROP) for seed in (0, 4)]
    assert {name: far for name, far in differences(specs, few, tmp_path) if far > 1e-11} == {}


@pytest.mark.parametrize("name", ["shortcut identity", "shortcut exclusive_gate"])
def test_in_float32_they_are_within_a_hundred_thousandth(name: str, trial: Trial, few: Images, tmp_path: Path) -> None:
    net = trial().architecture.assign(FUSABLE[name])
    specs = [trial(net=net, seed=seed, steps=20, lr=0.01, augmentation=CROP) for seed in SEEDS]
    assert {name: far for name, far in differences(specs, few, tmp_path) if far > 1e-5} == {}


def mixed(name: str, trial: Trial, **recipe: Any) -> list[TrialSpec]:
    nets = [trial().architecture.assign(changes) for changes in MIXED[name]]
    return [trial(net=net, seed=seed, **recipe) for net in nets for seed in (0, 4)]


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("name", MIXED)
def test_weights_and_statistics_of_arms_with_different_shortcuts_are_those_of_each_alone(
    name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = mixed(name, trial, steps=20, batch_size=8, lr=0.01, augmentation=CROP)
    assert {name: far for name, far in differences(specs, few, tmp_path) if far > 1e-10} == {}


def test_in_float32_arms_with_different_shortcuts_are_within_a_hundred_thousandth(
    trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = mixed("gates", trial, steps=20, lr=0.01, augmentation=CROP)
    assert {name: far for name, far in differences(specs, few, tmp_path) if far > 1e-5} == {}


@pytest.mark.parametrize("told", [6, 12, 15])
def test_arms_with_different_shortcuts_stopped_anywhere_end_with_the_same_bits(
    told: int, trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = mixed("full pre-activation, transition B", trial, steps=8)[::2]
    whole = list(together(specs, few, tmp_path / "whole"))
    stopped = together(specs, few, tmp_path)
    list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    again = list(together(specs, few, tmp_path))
    for spec in specs:
        assert numbers(of(spec.key, again, Epoch)) == numbers(of(spec.key, whole, Epoch))
        a, b = ((root / spec.key / checkpoint.WEIGHTS).read_bytes() for root in (tmp_path, tmp_path / "whole"))
        assert a == b


@pytest.mark.usefixtures("exactly")
def test_an_arm_that_diverges_leaves_the_arms_with_other_shortcuts(
    trial: Trial, few: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = mixed("without gates", trial, epochs=3, lr=0.01)[::2]
    specs[1] = trial(net=specs[1].architecture, seed=1, epochs=3, lr=0.01)
    poison(monkeypatch, 1, 4)
    events = list(together(specs, few))
    assert [of(spec.key, events, Finished)[0].status for spec in specs] == [
        "diverged" if spec is specs[1] else "complete" for spec in specs
    ]
    for spec in (specs[0], specs[-1]):
        losses = [epoch.loss for epoch in train(spec, few) if isinstance(epoch, Epoch)]
        assert [epoch.loss for epoch in of(spec.key, events, Epoch)] == pytest.approx(losses, rel=1e-10)


@pytest.mark.parametrize("recipe", [{"nesterov": True}, {"momentum": 0.0}, {"weight_decay": 0.0}], ids=str)
def test_a_trial_reports_the_same_together_as_alone(recipe: dict[str, Any], trial: Trial, few: Images) -> None:
    specs = [trial(seed=seed, epochs=2, lr=0.01, **recipe) for seed in SEEDS]
    events = list(together(specs, few, probes=(0, 2)))
    for spec in specs:
        alone = list(train(spec, few, probes=(0, 2)))
        told = [event for event in events if event.key == spec.key]
        assert [type(event) for event in told] == [type(event) for event in alone]
        for found, wanted in zip(of(spec.key, told, Epoch), of(spec.key, alone, Epoch), strict=True):
            assert (found.epoch, found.step, found.lr) == (wanted.epoch, wanted.step, wanted.lr)
            assert found.loss == pytest.approx(wanted.loss, rel=1e-4)
            # An image in fifty may stand on the line between two classes.
            assert found.train_error == pytest.approx(wanted.train_error, abs=0.02)
            assert found.validation_error == pytest.approx(wanted.validation_error, abs=0.02)
        for found, wanted in zip(of(spec.key, told, Probe), of(spec.key, alone, Probe), strict=True):
            assert found.gradient == pytest.approx(wanted.gradient, rel=1e-3)
        (end,), (end_alone,) = of(spec.key, told, Finished), of(spec.key, alone, Finished)
        assert end.status == end_alone.status == "complete"
        assert end.test_error == pytest.approx(end_alone.test_error, abs=0.02)
        seen, seen_alone = (Predictions.from_bytes(each.predictions) for each in (end, end_alone))
        assert seen.error == end.test_error
        assert seen.loss == pytest.approx(seen_alone.loss, rel=0.01, abs=0.01)


def test_trials_report_how_many_train_together(trial: Trial, few: Images) -> None:
    specs = [trial(seed=seed, epochs=1) for seed in SEEDS]
    assert [event.together for event in together(specs, few) if isinstance(event, Started)] == [3, 3, 3]
    assert next(train(specs[0], few)).together == 1


def test_a_trials_seconds_are_its_share(trial: Trial, few: Images) -> None:
    events = list(together([trial(seed=seed, epochs=1) for seed in SEEDS], few))
    seconds = {event.seconds for event in events if isinstance(event, Epoch)}
    assert len(seconds) == 1
    assert {event.seconds for event in events if isinstance(event, Finished)} == seconds


def poison(monkeypatch: pytest.MonkeyPatch, seed: int, step: int) -> None:
    """The images of one seed are NaN at one step."""

    unharmed = training.batches

    def poisoned(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (x, y) in enumerate(unharmed(split, **settings), AN_EPOCH * settings.get("epoch", 0) + 1):
            yield (x * float("nan") if (settings.get("seed"), number) == (seed, step) else x), y

    monkeypatch.setattr(training, "batches", poisoned)


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_trial_that_diverges_ends_as_if_alone_and_does_not_affect_the_others(
    step: int, trial: Trial, few: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [trial(seed=seed, epochs=3, lr=0.01) for seed in SEEDS]
    poison(monkeypatch, SEEDS[1], step)
    events = list(together(specs, few))
    (end,) = of(specs[1].key, events, Finished)
    assert (end.status, end.reason) == ("diverged", f"loss is nan at step {step}")
    assert len(of(specs[1].key, events, Epoch)) == (step - 1) // AN_EPOCH
    for spec in (specs[0], specs[2]):
        assert of(spec.key, events, Finished)[0].status == "complete"
        losses = [epoch.loss for epoch in train(spec, few) if isinstance(epoch, Epoch)]
        assert [epoch.loss for epoch in of(spec.key, events, Epoch)] == pytest.approx(losses, rel=1e-10)


def test_all_trials_of_a_group_can_diverge(trial: Trial, few: Images) -> None:
    specs = [trial(seed=seed, lr=1e30) for seed in SEEDS]
    ends = [event for event in together(specs, few) if isinstance(event, Finished)]
    alone = [list(train(spec, few))[-1] for spec in specs]
    assert [(end.key, end.status, end.reason) for end in ends] == [(end.key, end.status, end.reason) for end in alone]


def test_weights_that_the_last_step_blew_up_are_diverged(trial: Trial, few: Images) -> None:
    specs = [trial(seed=seed, lr=1e39, schedule="constant", steps=1) for seed in SEEDS]
    ends = [event for event in together(specs, few) if isinstance(event, Finished)]
    assert {end.reason for end in ends} == {"weights are not finite after step 1"}


@pytest.fixture(scope="module")
def dropping(trial: Trial) -> list[TrialSpec]:
    net = trial().architecture.replace(shortcut={"kind": "dropout", "p": 0.5})
    return [trial(net=net, seed=seed, steps=8) for seed in SEEDS]


def test_each_trial_draws_the_dropout_masks_that_it_draws_alone(dropping: list[TrialSpec], few: Images) -> None:
    found = list(together(dropping, few))
    for spec in dropping:
        alone = [event for event in train(spec, few) if isinstance(event, Epoch)]
        losses = [event.loss for event in of(spec.key, found, Epoch)]
        assert losses == pytest.approx([event.loss for event in alone], rel=1e-4)


@pytest.mark.parametrize("told", [4, 9])
def test_dropout_masks_continue_after_trials_were_stopped(
    told: int, dropping: list[TrialSpec], few: Images, tmp_path: Path
) -> None:
    whole = list(together(dropping, few, tmp_path / "whole"))
    stopped = together(dropping, few, tmp_path)
    list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    torch.manual_seed(99)
    again = list(together(dropping, few, tmp_path))
    for spec in dropping:
        assert numbers(of(spec.key, again, Epoch)) == numbers(of(spec.key, whole, Epoch))
        a, b = ((root / spec.key / checkpoint.WEIGHTS).read_bytes() for root in (tmp_path, tmp_path / "whole"))
        assert a == b


def test_a_network_without_a_fused_form_is_refused_before_any_event(trial: Trial, few: Images) -> None:
    net = trial().architecture.replace(survival=0.5)
    with pytest.raises(Unfusable, match="Survival"):
        next(together([trial(net=net, seed=seed) for seed in SEEDS], few))


@pytest.fixture(scope="module", params=[{"augmentation": CROP}, {"momentum": 0.0}], ids=["crops", "no momentum"])
def undisturbed(
    request: pytest.FixtureRequest, trial: Trial, few: Images, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[TrialSpec], list[Event], Path]:
    """Trials, their events when undisturbed, and the folders of their weights."""
    folder = tmp_path_factory.mktemp("undisturbed")
    specs = [trial(seed=seed, steps=8, **request.param) for seed in SEEDS]
    return specs, list(together(specs, few, folder)), folder


@pytest.mark.parametrize("told", [2, 4, 5, 7, 9, 11, 13])
def test_trials_stopped_anywhere_end_with_the_same_bits(
    told: int, undisturbed: tuple[list[TrialSpec], list[Event], Path], few: Images, tmp_path: Path
) -> None:
    specs, whole, folder = undisturbed
    stopped = together(specs, few, tmp_path)
    list(islice(stopped, told))
    stopped.close()  # type: ignore[attr-defined]
    again = list(together(specs, few, tmp_path))
    for spec in specs:
        assert numbers(of(spec.key, again, Epoch)) == numbers(of(spec.key, whole, Epoch))
        assert numbers(of(spec.key, again, Finished)) == numbers(of(spec.key, whole, Finished))
        a, b = ((root / spec.key / checkpoint.WEIGHTS).read_bytes() for root in (folder, tmp_path))
        assert a == b


def test_checkpoints_are_those_of_a_trial_alone(trial: Trial, few: Images, tmp_path: Path) -> None:
    specs = [trial(seed=seed, epochs=2, lr=0.01) for seed in SEEDS]
    stopped = together(specs, few, tmp_path / "together")
    list(islice(stopped, 4))
    alone = train(specs[0], few, folder=tmp_path / "alone")
    list(islice(alone, 2))
    found, wanted = (
        torch.load(path / checkpoint.NAME, weights_only=True)
        for path in (tmp_path / "together" / specs[0].key, tmp_path / "alone")
    )
    assert found.keys() == wanted.keys()
    assert (found["step"], found["warming_up"]) == (wanted["step"], wanted["warming_up"])
    assert found["param_groups"] == wanted["param_groups"]
    assert len(found["momenta"]) == len(wanted["momenta"]) == 1
    for (names, momenta), (own, wanted_momenta) in zip(found["momenta"], wanted["momenta"], strict=True):
        assert names == own
        torch.testing.assert_close(momenta, wanted_momenta, atol=1e-5, rtol=1e-4)
    sizes = [path.stat().st_size for path in tmp_path.rglob(checkpoint.NAME)]
    assert max(sizes) < 1.05 * min(sizes), "a part of a fused tensor, and not the whole of it"


@pytest.mark.usefixtures("exactly")
def test_a_trial_started_together_can_resume_alone_and_the_other_way_round(
    trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = [trial(seed=seed, epochs=3, lr=0.01) for seed in SEEDS]
    stopped = together(specs, few, tmp_path / "a")
    list(islice(stopped, 6))
    on_its_own = list(train(specs[1], few, folder=tmp_path / "a" / specs[1].key))
    assert on_its_own[0].step == AN_EPOCH
    for spec in specs:
        begun = train(spec, few, folder=tmp_path / "b" / spec.key)
        list(islice(begun, 2))
    joined = list(together(specs, few, tmp_path / "b"))
    for spec in specs:
        assert of(spec.key, joined, Finished)[0].status == "complete"
        alone = list(train(spec, few))
        losses = [epoch.loss for epoch in of(spec.key, alone, Epoch)]
        assert [epoch.loss for epoch in of(spec.key, joined, Epoch)] == pytest.approx(losses, rel=1e-10)
        if spec is specs[1]:
            assert [epoch.loss for epoch in of(spec.key, on_its_own, Epoch)] == pytest.approx(losses, rel=1e-10)


@pytest.mark.usefixtures("exactly")
def test_trials_at_an_earlier_step_train_until_all_are_at_the_same_step(
    trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = [trial(seed=seed, epochs=4, lr=0.01) for seed in SEEDS]
    ahead = train(specs[2], few, folder=tmp_path / specs[2].key)
    list(islice(ahead, 3))
    events = list(together(specs, few, tmp_path))
    assert [event.step for event in events if isinstance(event, Started)] == [0, 0, 2 * AN_EPOCH]
    places = {spec.key: number for number, spec in enumerate(specs)}
    order = [(places[event.key], event.epoch) for event in events if isinstance(event, Epoch)]
    behind, level = [(0, 1), (1, 1), (0, 2), (1, 2)], [(place, epoch) for epoch in (3, 4) for place in range(3)]
    assert order == [(2, 1), (2, 2), *behind, *level]
    for spec in specs:
        losses = [epoch.loss for epoch in train(spec, few) if isinstance(epoch, Epoch)]
        assert [epoch.loss for epoch in of(spec.key, events, Epoch)] == pytest.approx(losses, rel=1e-10)


@pytest.mark.usefixtures("exactly")
def test_each_trial_leaves_the_warm_up_after_its_own_epoch(trial: Trial, few: Images) -> None:
    """Learning rates differ between seeds for an epoch or more, and each seed has the rates that it has alone."""
    first = {
        seed: next(e.train_error for e in train(trial(seed=seed, epochs=1, lr=0.005), few) if isinstance(e, Epoch))
        for seed in SEEDS
    }
    between = sorted(first.values())
    assert between[0] < between[-1]
    warm_up = {"lr": 0.005, "until_error": (between[0] + between[1]) / 2}
    specs = [trial(seed=seed, epochs=4, lr=0.02, schedule="constant", warm_up=warm_up) for seed in SEEDS]
    events = list(together(specs, few))
    rates = {spec.key: [epoch.lr for epoch in of(spec.key, events, Epoch)] for spec in specs}
    assert len({tuple(each) for each in rates.values()}) > 1
    for spec in specs:
        alone = [event for event in train(spec, few) if isinstance(event, Epoch)]
        assert rates[spec.key] == [epoch.lr for epoch in alone]
        losses = [epoch.loss for epoch in alone]
        assert [epoch.loss for epoch in of(spec.key, events, Epoch)] == pytest.approx(losses, rel=1e-10)


def test_members_with_one_learning_rate_and_step_train_together(trial: Trial) -> None:
    members = [Member.of(trial(seed=seed), None, "cpu") for seed in range(4)]
    for member, (step, warming_up) in zip(members, [(14, True), (7, True), (7, False), (7, True)], strict=True):
        member.state.step, member.state.warming_up = step, warming_up
    assert next_to_train(members, 21) == [members[1], members[3]]
    assert next_to_train(members, 7) == []


def test_a_group_of_one_is_its_own_network(trial: Trial) -> None:
    member = Member.of(trial(), None, "cpu")
    group = Group([member])
    assert (group.model, group.optimizer) == (member.model, member.optimizer)
