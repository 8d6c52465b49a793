"""With every optimiser and option, trials train together as alone, and resume with the same bits."""

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
from search.training.jobs import can_be_fused, make_jobs
from search.training.train import train, train_together
from search.trials.events import Epoch, Event, Finished
from search.trials.optimizers import OPTIMIZERS
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

AN_EPOCH = 3
SEEDS = (0, 1, 4)
TOGETHER = [kind for kind, cls in OPTIMIZERS.items() if cls.elementwise]
OPTIONS: dict[str, dict[str, Any]] = {
    **{kind: {"optimizer": kind} for kind in TOGETHER},
    "no decay of norms": {"decay_norms_and_biases": False, "weight_decay": 0.05},
    "clipping": {"clip_norm": 0.3},
    "accumulation": {"accumulation": 2},
    "smoothing": {"loss": {"kind": "cross_entropy", "smoothing": 0.1}},
    "binary": {"loss": "binary_cross_entropy"},
    "dropout": {"dropout": 0.3},
    "ema": {"averaging": {"kind": "ema", "decay": 0.8}},
    "swa": {"averaging": {"kind": "swa", "start": 0.3, "every": 2}},
    "linear warm-up": {"warm_up": {"kind": "linear", "steps": 4}, "schedule": "cosine"},
    "all": {
        "optimizer": "adamw",
        "decay_norms_and_biases": False,
        "clip_norm": 0.3,
        "accumulation": 2,
        "loss": {"kind": "binary_cross_entropy", "smoothing": 0.1},
        "dropout": 0.3,
        "averaging": {"kind": "ema", "decay": 0.8, "every": 2},
        "schedule": {"kind": "cosine", "floor": 0.1},
        "warm_up": {"kind": "linear", "part": 0.2},
    },
}
APART = {kind: {"optimizer": kind} for kind in OPTIMIZERS if kind not in TOGETHER}


@pytest.fixture(scope="module")
def few(digits: Images) -> Images:
    """Three batches of 32 per epoch and 50 images for validation."""
    sizes = {"train": 32 * AN_EPOCH, "validation": 50, "test": 50}
    cut = {name: Split(getattr(digits, name).x[:size], getattr(digits, name).y[:size]) for name, size in sizes.items()}
    return replace(digits, **cut)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In float32, rounding can move the input of a ReLU across its kink, and the steps that follow differ."""

    def doubled(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x.double(), y) for x, y in batches(split, **settings))

    for module in (training, evaluation):
        monkeypatch.setattr(module, "batches", doubled)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def together(specs: Sequence[TrialSpec], images: Images, root: Path) -> Iterator[Event]:
    return train_together(specs, images, folders=[root / spec.key for spec in specs])


def measured(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Everything that was measured, without durations."""
    clocks = ("seconds", "images_per_second", "latency_ms")
    return [
        (type(event), *(value for name, value in vars(event).items() if name not in clocks))
        for event in events
        if isinstance(event, Epoch | Finished)
    ]


def check_together_is_alone(specs: Sequence[TrialSpec], images: Images, root: Path) -> None:
    list(together(specs, images, root))
    for spec in specs:
        list(train(spec, images, folder=root / "alone"))
        found, wanted = (load_file(root / name / checkpoint.WEIGHTS) for name in (spec.key, "alone"))
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-8, rtol=1e-8, msg=name)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", OPTIONS)
def test_weights_after_ten_steps_are_those_of_each_seed_alone(
    name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    net = trial().architecture.replace(shortcut="rezero")
    specs = [trial(net=net, seed=seed, steps=10, batch_size=8, lr=0.01, **OPTIONS[name]) for seed in (0, 4)]
    check_together_is_alone(specs, few, tmp_path)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["adamw", "clipping", "all"])
def test_arms_with_different_shortcuts_train_together_as_alone(
    name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    """Some weights of the fused network then belong to some of the networks only."""
    nets = [trial().architecture.assign(changes) for changes in MIXED["full pre-activation, transition B"]]
    specs = [
        trial(net=net, seed=seed, steps=6, batch_size=8, lr=0.01, **OPTIONS[name]) for net in nets for seed in (0, 4)
    ]
    check_together_is_alone(specs, few, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("changes", FUSABLE.values(), ids=FUSABLE)
def test_every_network_trains_together_as_alone_with_all_options(
    changes: dict[str, Any], trial: Trial, few: Images, tmp_path: Path
) -> None:
    """Norms of gradients, decay groups and averages are right for every kind of weight."""
    net = trial().architecture.assign(changes)
    recipe = {"steps": 5, "batch_size": 8, "lr": 0.01, **OPTIONS["all"]}
    check_together_is_alone([trial(net=net, seed=seed, **recipe) for seed in (0, 4)], few, tmp_path)


@pytest.mark.parametrize("name", OPTIONS)
def test_trials_that_were_stopped_end_together_with_the_same_bits(
    name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = [trial(seed=seed, steps=8, lr=0.01, **OPTIONS[name]) for seed in SEEDS]
    whole = list(together(specs, few, tmp_path / "whole"))
    stopped = together(specs, few, tmp_path)
    list(islice(stopped, 7))
    stopped.close()  # type: ignore[attr-defined]
    torch.manual_seed(99)
    again = list(together(specs, few, tmp_path))
    for spec in specs:
        of_it, of_whole = ([event for event in events if event.key == spec.key] for events in (again, whole))
        assert measured(of_it) == measured(of_whole)
        a, b = ((root / spec.key / checkpoint.WEIGHTS).read_bytes() for root in (tmp_path, tmp_path / "whole"))
        assert a == b


@pytest.mark.parametrize("name", OPTIONS | APART)
@pytest.mark.parametrize("told", [2, 3])
def test_a_trial_that_was_stopped_ends_with_the_same_bits(
    told: int, name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    spec = trial(steps=8, lr=0.01, **(OPTIONS | APART)[name])
    whole = list(train(spec, few, folder=tmp_path / "whole"))
    stopped = train(spec, few, folder=tmp_path)
    list(islice(stopped, told))
    stopped.close()
    torch.manual_seed(told)
    assert measured(list(train(spec, few, folder=tmp_path))) == measured(whole)
    assert (tmp_path / checkpoint.WEIGHTS).read_bytes() == (tmp_path / "whole" / checkpoint.WEIGHTS).read_bytes()


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["nadam", "adan", "all"])
def test_a_trial_started_together_can_resume_alone_and_the_other_way_round(
    name: str, trial: Trial, few: Images, tmp_path: Path
) -> None:
    specs = [trial(seed=seed, epochs=3, lr=0.01, **OPTIONS[name]) for seed in SEEDS]
    stopped = together(specs, few, tmp_path / "a")
    list(islice(stopped, 6))
    stopped.close()  # type: ignore[attr-defined]
    for spec in specs:
        begun = train(spec, few, folder=tmp_path / "b" / spec.key)
        list(islice(begun, 2))
        begun.close()
    on_its_own = list(train(specs[1], few, folder=tmp_path / "a" / specs[1].key))
    joined = list(together(specs, few, tmp_path / "b"))
    for spec, resumed in ((specs[1], on_its_own), *((spec, joined) for spec in specs)):
        wanted = [event.loss for event in train(spec, few) if isinstance(event, Epoch)]
        found = [event.loss for event in resumed if isinstance(event, Epoch) and event.key == spec.key]
        assert found == pytest.approx(wanted, rel=1e-8)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["clipping", "all"])
def test_a_trial_that_diverges_does_not_affect_those_that_it_trains_with(
    name: str, trial: Trial, few: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each network is clipped by its own norm, which is not a number in one of them."""
    unharmed = training.batches

    def poisoned(split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (x, y) in enumerate(unharmed(split, **settings)):
            yield (x * float("nan") if (settings.get("seed"), number) == (1, 1) else x), y

    monkeypatch.setattr(training, "batches", poisoned)
    specs = [trial(seed=seed, epochs=2, lr=0.01, **OPTIONS[name]) for seed in SEEDS]
    events = list(train_together(specs, few, folders=[None] * 3))
    ends = {event.key: event.status for event in events if isinstance(event, Finished)}
    assert [ends[spec.key] for spec in specs] == ["complete", "diverged", "complete"]
    for spec in (specs[0], specs[2]):
        wanted = [event.loss for event in train(spec, few) if isinstance(event, Epoch)]
        found = [event.loss for event in events if isinstance(event, Epoch) and event.key == spec.key]
        assert found == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("kind", APART)
def test_with_norms_of_whole_tensors_trials_train_one_by_one(kind: str, trial: Trial, few: Images) -> None:
    specs = [trial(seed=seed, steps=1000, optimizer=kind) for seed in SEEDS]
    jobs = make_jobs(specs, Resources(fuse=3), workers=1, steps=1000)
    assert [len(job.trials) for job in jobs] == [1, 1, 1]
    with pytest.raises(Unfusable, match=f"the optimiser {kind} uses norms of whole weight tensors"):
        next(train_together(specs, few, folders=[None] * 3))
    others = [trial(seed=seed, steps=1000, optimizer="adamw") for seed in SEEDS]
    assert [len(job.trials) for job in make_jobs(others, Resources(fuse=3), workers=1, steps=1000)] == [3]


def test_dropout_before_the_classifier_is_fused_on_a_cpu_only(trial: Trial) -> None:
    net, gpu = trial().architecture, Resources(gpus=1)
    assert can_be_fused(net, Resources(), drops=True)
    assert can_be_fused(net, gpu)
    assert not can_be_fused(net, gpu, drops=True)


def test_a_checkpoint_without_the_average_that_a_recipe_needs_is_not_used(
    trial: Trial, few: Images, tmp_path: Path
) -> None:
    stopped = train(trial(), few, folder=tmp_path)
    list(islice(stopped, 2))
    stopped.close()
    *_, end = (event for event in train(trial(averaging="ema"), few, folder=tmp_path) if isinstance(event, Epoch))
    assert end.epoch == 3
    assert (tmp_path / "checkpoint.damaged").exists()
