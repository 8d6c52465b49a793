"""How a process is set up for its GPU, tested without a GPU: torch is made to report one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_space import preset
from resnet_space.errors import InputError
from search.data import Images, Split
from search.kernels import fork_server, gpu
from search.kernels import layers as kernels
from search.kernels.soundness import conditions_of
from search.running import inline
from search.running.preflight import Preflight
from search.running.progress import Progress
from search.training import evaluation
from search.training import work as work_module
from search.training.evaluation import errors, side_by_side
from search.training.execution import Execution
from search.training.work import work
from search.trials.events import Event, Finished, Notice
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]

GB = 10**9


class Memory:
    """For a GPU of 10 GB, of which this process may use 2 GB and uses 1 GB."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int, fraction: float = 1.0) -> None:
        self.held: list[Split] = []
        facts: dict[str, Any] = {
            "mem_get_info": (free, 10 * GB),
            "memory_reserved": 2 * GB,
            "memory_allocated": 1 * GB,
            "get_per_process_memory_fraction": fraction,
        }
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        for name, value in facts.items():
            monkeypatch.setattr(torch.cuda, name, partial(self.of_number, value))
        monkeypatch.setattr(Split, "to", lambda split, _: self.held.append(split) or split)

    def of_number(self, value: Any, number: object) -> Any:
        assert number == 0, "some of torch's functions take no device without a number"
        return value


@pytest.mark.parametrize(
    ("free", "fraction", "expected"),
    [
        (4 * GB, 1.0, 5 * GB),  # what it has and does not use is free to it
        (8 * GB, 0.3, 2 * GB),  # a fraction of the GPU, of which it uses 1 GB
        (0, 1.0, 1 * GB),
    ],
)
def test_free_bytes_are_limited_to_the_process_s_fraction(
    free: int, fraction: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory(monkeypatch, free, fraction)
    assert gpu.free_bytes("cuda") == expected


@pytest.mark.parametrize(("size", "there"), [(1.9 * GB, True), (2.1 * GB, False)])
def test_a_split_is_moved_to_a_gpu_with_enough_memory(
    size: float, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, free=3 * GB)
    split = Split(torch.empty(int(size) // 4, 1, 2, 2, dtype=torch.uint8, device="meta"), torch.empty(0))
    gpu.on_device(split, "cuda")
    assert (memory.held == [split]) is there


def test_on_a_cpu_a_split_is_returned_unchanged(digits: Images) -> None:
    assert gpu.on_device(digits.train, "cpu") is digits.train


@pytest.mark.parametrize(("gpus", "fraction"), [(0.3, 0.3), (1, 1.0), (2, 1.0)])
def test_a_job_gets_its_fraction_of_the_memory_and_cudnn_measures(
    gpus: float, fraction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", given.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    gpu.prepare(Resources(gpus=gpus))
    assert given == [fraction]
    assert all(isinstance(each, float) for each in given), "torch takes no whole number"
    assert torch.backends.cudnn.benchmark


@pytest.fixture
def another_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a program had set it before."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    convolutions, products = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = convolutions.fp32_precision, products.fp32_precision
    convolutions.fp32_precision, products.fp32_precision = "ieee", "tf32"
    yield
    convolutions.fp32_precision, products.fp32_precision = before


@pytest.mark.usefixtures("another_precision")
def test_float32_on_a_gpu_is_tf32_in_convolutions_and_float32_in_matrix_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda _: None)
    gpu.prepare(Resources(gpus=1))
    assert torch.backends.cudnn.conv.fp32_precision == "tf32"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    # What older code reads, and torch's compiler in some versions: an error where the two ways to set it disagree.
    assert torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("another_precision")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_gpu_s_kernels_are_checked_with_the_precision_of_a_job(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def error(*_: object) -> tuple[float, str]:
        seen.append((torch.backends.cudnn.benchmark, torch.backends.cudnn.conv.fp32_precision))
        return 0.0, "output"

    monkeypatch.setattr(kernels, "relative_error", error)
    [kernel] = [each for each in kernels.kernels(preset("resnet20")) if each.name.startswith("Linear(")]
    fork_server._check(kernel, kernels.Conditions(8, device, 1, "float32"), "")
    assert seen == [(True, "tf32") if device == "cuda" else (False, "ieee")]


def test_a_job_on_a_cpu_changes_nothing_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked"))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    gpu.prepare(Resources())
    assert not torch.backends.cudnn.benchmark


def test_a_gpu_that_cannot_be_set_up_fails_the_trials_and_not_the_job(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: float) -> None:
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", busy)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(work_module, "check_job_kernels", lambda *_: busy(1))
    (end,) = work(Job(trials=(trial(),)), Resources(gpus=1), None)
    assert isinstance(end, Finished)
    assert (end.status, "busy or unavailable" in end.reason) == ("failed", True)


TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"


def old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch behaves: another library counts the GPUs, and they cannot be used."""

    def init() -> None:
        raise RuntimeError(f"{TOO_OLD}\nby downloading and installing a new version")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)


def test_a_driver_that_is_too_old_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    old_driver(monkeypatch)
    with pytest.raises(InputError) as refused:
        inline.check(Resources(gpus=1))
    assert (
        str(refused.value) == f"resources.gpus: torch {torch.__version__} cannot use any GPU of this machine: {TOO_OLD}"
    )
    inline.check(Resources())


def test_a_missing_driver_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=r"^resources\.gpus: a trial asks for 1, and this machine has 0$"):
        inline.check(Resources(gpus=1))
    assert "\n" not in gpu.why_unusable() != ""


def test_a_run_on_this_machine_is_refused_if_torch_cannot_use_the_gpu(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_driver(monkeypatch)
    spec = trial()
    conditions = conditions_of(spec.recipe, Resources(gpus=1))
    (tmp_path / "run").mkdir()
    preflight = Preflight(tmp_path / "run", [(spec.data, spec.fingerprint)], kernels={conditions: []})
    with pytest.raises(InputError) as refused:
        preflight.check_this_machine(1)
    assert str(refused.value) == f"this machine: resources.gpus: torch cannot use any GPU here: {TOO_OLD}"


@pytest.mark.parametrize(
    ("size", "device", "images"),
    [(32, "cpu", 512), (8, "cuda", 4096), (32, "cuda:0", 4096), (64, "cuda", 1024), (224, "cuda", 512)],
)
def test_a_gpu_evaluates_more_small_images_side_by_side(size: int, device: str, images: int) -> None:
    assert side_by_side((3, size, size), device) == images


def test_a_split_is_evaluated_in_one_context_that_casts(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, made = trial(), []

    def counted(*arguments: Any) -> torch.autocast:
        made.append(arguments)
        return autocast(*arguments)

    autocast = evaluation.autocast
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    whole = errors(model, digits.test, digits, spec.recipe, "cpu")
    monkeypatch.setattr(evaluation, "autocast", counted)
    monkeypatch.setattr(evaluation, "LOOK", 10)
    assert errors(model, digits.test, digits, spec.recipe, "cpu") == whole
    assert len(made) == 1


def test_a_trial_that_ran_out_of_memory_is_tried_again_without_a_graph(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[bool] = []

    def short(*_: Any, execution: Execution, **__: Any) -> None:
        recorded.append(execution.recorded)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(work_module, "train", short)
    events = list(work(Job(trials=(trial(),)), Resources(graphs="on"), None))
    assert recorded == [True, False]
    assert [type(event) for event in events] == [Notice, Finished]


@pytest.mark.parametrize(
    ("given", "kept", "on_cpu", "on_gpu"),
    [
        ("auto", "auto", False, True),
        ("on", "on", True, True),
        ("off", "off", False, False),
        (True, "on", True, True),
        (False, "off", False, False),
    ],
)
def test_graphs_are_recorded_on_a_gpu_unless_they_are_off(
    given: str | bool, kept: str, on_cpu: bool, on_gpu: bool
) -> None:
    here, there = Resources.of({"graphs": given}), Resources.of({"graphs": given, "gpus": 1})
    assert here.graphs == there.graphs == kept
    assert (here.use_graphs, there.use_graphs) == (on_cpu, on_gpu)
    assert Resources.of(here.to_dict()) == here
    assert Resources().graphs == "auto"


def test_a_notice_that_holds_for_other_trials_is_shown_once() -> None:
    said: list[str] = []
    progress = Progress(total=2, already=0, steps=1)
    progress.names = {"a": "A", "b": "B"}
    progress.say = said.append  # type: ignore[method-assign]
    events: list[Event] = [Notice(key, text, once=True) for text in ("one", "two") for key in "ab"]
    for event in [*events, Notice("a", "each"), Notice("b", "each")]:
        progress.tell(event)
    assert said == ["A: one", "A: two", "A: each", "B: each"]
