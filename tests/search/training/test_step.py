"""A recorded step gives the same numbers. Steps that cannot be recorded are computed kernel by kernel."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from fake_cuda import FakeCuda
from torch import Tensor

from resnet_space import Architecture
from search.data import Images, Split, batches
from search.kernels import gpu
from search.kernels.soundness import conditions_of
from search.training import step as step_module
from search.training import train as training
from search.training.execution import Execution
from search.training.fusion_speedup import time_steps
from search.training.members import Group, Member
from search.training.out_of_memory import out_of_memory
from search.training.step import (
    WARMUP_STEPS,
    EagerStepper,
    RecordedStepper,
    StepResult,
    make_stepper,
    step,
    why_not_recorded,
)
from search.training.train import train, train_together
from search.trials.events import Finished, Notice
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


class Played(RecordedStepper):
    """Launch a graph's kernels one by one: everything of a recording but CUDA's part."""

    def aside(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> StepResult:
        return step(self.group, xs, ys, self.device)

    def record(self) -> Callable[[], StepResult]:
        self.recorded_at = self.taken
        return lambda: step(self.group, self.xs, self.ys, self.device)


def group(specs: Sequence[TrialSpec], device: str = "cpu") -> Group:
    made = Group([Member.of(spec, None, device) for spec in specs])
    made.model.train()
    return made


def numbers(take: Callable[..., StepResult], specs: Sequence[TrialSpec], images: Images, device: str = "cpu") -> Tensor:
    """Losses and wrong predictions of an epoch with a smaller last batch and a falling learning rate."""
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
@pytest.mark.parametrize(
    "recipe",
    [{}, {"optimizer": "adamw", "decay_norms_and_biases": False, "clip_norm": 0.5, "accumulation": 2}],
    ids=str,
)
def test_copied_batches_and_a_learning_rate_tensor_change_no_number(
    recipe: dict[str, Any], seeds: int, trial: Trial, digits: Images
) -> None:
    specs = [trial(seed=seed, **recipe) for seed in range(seeds)]
    played = Played(group(specs), "cpu")
    assert torch.equal(
        numbers(played, specs, digits), numbers(make_stepper(group(specs), "cpu", recorded=True), specs, digits)
    )
    assert played.recorded_at == WARMUP_STEPS
    assert played.taken == WARMUP_STEPS + 1, "the last batch of the epoch is smaller"


def test_a_smaller_batch_is_never_the_one_that_is_recorded(trial: Trial, digits: Images) -> None:
    """The fourth batch of each epoch, after the warm-up steps, has 4 images."""
    specs = [trial()]
    played = Played(group(specs), "cpu")
    small = replace(digits, train=Split(digits.train.x[:100], digits.train.y[:100]))
    numbers(played, specs, small)
    assert played.launch is None
    numbers(played, specs, small)
    assert played.recorded_at == WARMUP_STEPS + 1
    assert [len(x) for x in played.xs] == [32]


def test_on_the_cpu_nothing_is_recorded_and_that_is_reported(trial: Trial) -> None:
    take = make_stepper(group([trial()]), "cpu", recorded=True)
    assert type(take) is EagerStepper
    assert [notice.text for notice in take.reported()] == ["steps are not recorded as a CUDA graph: there is no GPU"]
    assert not make_stepper(group([trial()]), "cpu").reported()


def test_a_network_that_skips_random_branches_is_not_recorded(trial: Trial, tiny_net: Architecture) -> None:
    skipping = tiny_net.assign({"unit.survival": 0.5})
    assert (
        why_not_recorded(group([trial(net=skipping)]), "cuda") == "each batch skips other branches, chosen on the CPU"
    )
    assert why_not_recorded(group([trial()]), "cuda") == ""
    again = Group([Member.of(trial(), None, "cpu", recompute=True)])
    assert why_not_recorded(again, "cuda") == "activations are recomputed (resources.recompute)"
    take = make_stepper(again, "cuda", recorded=True)
    assert [(notice.key, notice.once) for notice in take.reported()] == [(trial().key, True)]
    assert take.reported() == [], "and once"


def losses(take: Callable[..., StepResult], specs: Sequence[TrialSpec], images: Images, device: str = "cpu") -> Tensor:
    return numbers(take, specs, images, device)[:, : len(specs)]


UNSUPPORTED = "operation not permitted when stream is capturing\nmore"


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_recording_that_fails_is_reported_and_steps_continue_kernel_by_kernel(
    seeds: int, trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [trial(seed=seed) for seed in range(seeds)]
    cuda = FakeCuda(monkeypatch, RuntimeError(UNSUPPORTED))
    first = cuda.current
    take = RecordedStepper(group(specs), "cpu")
    assert torch.equal(numbers(take, specs, digits), numbers(EagerStepper(group(specs), "cpu"), specs, digits))
    assert cuda.modes == ["thread_local"], "tried once"
    assert cuda.current is first
    assert len(step_module.RECORDING) == 1, "torch may still ask it"
    [notice] = take.reported()
    assert (notice.key, notice.once) == (specs[0].key, True)
    assert notice.text == (
        "recording a step as a CUDA graph failed (operation not permitted when stream is capturing); "
        "steps are computed kernel by kernel"
    )


@pytest.mark.parametrize("short", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA out of memory.")])
def test_a_lack_of_memory_in_a_recording_is_raised(
    short: Exception, trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda(monkeypatch, short)
    first = cuda.current
    with pytest.raises(RuntimeError) as raised:
        numbers(RecordedStepper(group([trial()]), "cpu"), [trial()], digits)
    assert out_of_memory(raised.value)
    assert cuda.current is first
    assert not cuda.generator.captured, "the next try may draw"


def test_steps_outside_of_graphs_share_one_stream(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda(monkeypatch)
    for seed in range(3):
        numbers(RecordedStepper(group([trial(seed=seed)]), "cpu"), [trial(seed=seed)], digits)
    assert len(cuda.made) == 2, "the first, which was current, and another"
    assert cuda.modes == ["thread_local"] * 3
    assert step_module.RECORDING == []


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A CPU on which recording is attempted and fails."""
    monkeypatch.setattr(step_module, "why_not_recorded", lambda *_: "")
    return FakeCuda(monkeypatch, RuntimeError(UNSUPPORTED))


def test_a_trial_whose_recording_fails_completes_and_reports_it(
    trial: Trial, digits: Images, failing: FakeCuda
) -> None:
    events = list(train(trial(), digits, execution=Execution(recorded=True)))
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert notice.text.startswith("recording a step as a CUDA graph failed (operation not permitted")
    assert isinstance(events[-1], Finished)
    assert events[-1].status == "complete"
    assert failing.modes == ["thread_local"]


def test_a_measurement_whose_recordings_fail_times_steps_kernel_by_kernel(
    trial: Trial, digits: Images, failing: FakeCuda
) -> None:
    assert len(time_steps([trial(seed=seed) for seed in range(2)], digits, "cpu", 1, recorded=True)) == 1
    assert len(failing.modes) == 2, "of the first alone, and of all together"


def test_a_group_is_released_before_the_next_is_created(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    made: list[weakref.ref[EagerStepper]] = []

    class Watched(Group):
        def __init__(self, *arguments: Any) -> None:
            alive.append(sum(take() is not None for take in made))
            super().__init__(*arguments)

    def watched(*arguments: Any, **named: Any) -> EagerStepper:
        take = make_stepper(*arguments, **named)
        made.append(weakref.ref(take))
        return take

    monkeypatch.setattr(training, "Group", Watched)
    monkeypatch.setattr(training, "make_stepper", watched)
    # The second diverges in its first epoch, so that the first continues in a group of its own.
    specs = [trial(seed=seed, epochs=2) for seed in range(2)]
    monkeypatch.setattr(training, "batches", partial(poisoned, specs[1].seed))
    list(train_together(specs, digits, folders=[None, None]))
    assert alive == [0, 0]


def poisoned(bad: int, split: Split, **settings: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches; those of one seed are not finite."""
    for x, y in batches(split, **settings):
        yield (x * float("nan") if settings.get("seed") == bad else x), y


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_without_bf16_computes_in_float32_and_that_is_reported(
    has: bool, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla T4")
    gpu.has_bf16.cache_clear()
    spec = trial(autocast="bf16")
    reported = [notice.text for notice in make_stepper(group([spec]), "cuda").reported()]
    precision = conditions_of(spec.recipe, Resources(gpus=1)).precision
    gpu.has_bf16.cache_clear()
    assert reported == ([] if has else ["Tesla T4 has no bf16: it computes in float32"])
    assert precision == ("bf16" if has else "float32")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("recipe", [{}, {"optimizer": "adamw", "clip_norm": 0.5, "accumulation": 2}], ids=str)
def test_a_graph_gives_the_numbers_of_its_kernels(
    recipe: dict[str, Any], seeds: int, trial: Trial, digits: Images
) -> None:
    specs = [trial(seed=seed, **recipe) for seed in range(seeds)]
    eager = losses(make_stepper(group(specs, "cuda"), "cuda"), specs, digits, "cuda")
    graph = losses(make_stepper(group(specs, "cuda"), "cuda", recorded=True), specs, digits, "cuda")
    # Sums in another order, in TF32; not mistakes, of which rounding may make one more.
    torch.testing.assert_close(graph, eager, rtol=2e-2, atol=2e-2)
