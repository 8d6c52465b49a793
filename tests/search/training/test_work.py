"""One job in this process: events in order, errors reported and not raised, and no numbers from other data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sweeping import Listed

from resnet_space import Architecture
from resnet_space.errors import InputError
from search.data import DataSet, Images, load
from search.files import failures
from search.running import inline
from search.training.train import train
from search.training.work import work
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.predictions import Predictions
from search.trials.resources import Resources
from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


def npz(path: Path, seed: int = 0) -> DataSet:
    """60 random images of 8x8 in 3 classes."""
    random = np.random.RandomState(seed)
    np.savez(path, x=random.randint(0, 256, (60, 8, 8)).astype("uint8"), y=np.arange(60) % 3)
    return DataSet(name="npz", root=str(path))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def on_npz(tiny_net: Architecture, tmp_path: Path, trial: Trial) -> TrialSpec:
    """A trial on a file of the user."""
    data = npz(tmp_path / "a.npz")
    spec = trial(net=tiny_net.assign({"classes": 3}), data=data, epochs=1)
    return TrialSpec.of(spec.model_dump() | {"fingerprint": load(data).fingerprint})


@pytest.fixture
def broken(tiny_net: Architecture, trial: Trial) -> TrialSpec:
    """A trial that raises in its first step: ten classes, and a network for two."""
    return trial(net=tiny_net.assign({"classes": 2}))


def test_a_job_reports_its_trials_one_after_another(trial: Trial, digits: Images) -> None:
    specs = (trial(seed=0, epochs=2), trial(seed=1, epochs=2))
    events = list(work(Job(trials=specs), Resources(), None))
    kinds = [type(event) for event in events]
    assert kinds == [Started, Epoch, Epoch, Finished] * 2
    assert [event.key for event in events] == [specs[0].key] * 4 + [specs[1].key] * 4
    assert events[-1].test_error == list(train(specs[1], digits))[-1].test_error


@pytest.mark.parametrize("together", [None, True])
def test_seeds_with_divisions_of_their_own_train_alone_on_their_own_images(trial: Trial, together: bool | None) -> None:
    data = DataSet(name="digits", limit=200, split="seed")
    specs = [trial(seed=seed, data=data, epochs=1) for seed in range(2)]
    job = Job(
        trials=tuple(TrialSpec.of(each.model_dump() | {"fingerprint": load(data).fingerprint}) for each in specs),
        together=together,
    )
    events = list(work(job, Resources(fuse=2), None))
    assert [event.together for event in events if isinstance(event, Started)] == [1, 1]
    ends = [event for event in events if isinstance(event, Finished)]
    for spec, end in zip(job.trials, ends, strict=True):
        own = load(data, seed=spec.seed)
        assert Predictions.from_bytes(end.predictions).split == own.digests["test"]
        *_, alone = train(spec, own)
        assert isinstance(alone, Finished)
        assert (end.test_error, end.validation_error) == (alone.test_error, alone.validation_error)
    assert ends[0].predictions != ends[1].predictions


def test_an_error_is_reported_with_reason_and_traceback_and_the_job_continues(trial: Trial, broken: TrialSpec) -> None:
    good = trial(epochs=1)
    events = list(work(Job(trials=(broken, good)), Resources(), None))
    failed, complete = (event for event in events if isinstance(event, Finished))
    assert (failed.key, failed.status) == (broken.key, "failed")
    assert failed.reason.startswith("IndexError: Target ")
    assert "\n" not in failed.reason
    assert "search/training/train.py" in failed.traceback
    assert (complete.key, complete.status) == (good.key, "complete")


def test_an_interrupt_is_not_swallowed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.training.work.train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(work(Job(trials=(trial(),)), Resources(), None))


def test_an_error_without_a_message_has_its_class_name_as_reason(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr("search.training.work.train", silent)
    (end,) = work(Job(trials=(trial(),)), Resources(), None)
    assert isinstance(end, Finished)
    assert end.reason.startswith("ArithmeticError")


def test_missing_data_fail_the_trial(on_npz: TrialSpec, tmp_path: Path) -> None:
    (tmp_path / "a.npz").unlink()
    (end,) = work(Job(trials=(on_npz,)), Resources(), None)
    assert isinstance(end, Finished)
    assert (end.status, "a.npz" in end.reason) == ("failed", True)


def test_other_data_under_the_same_name_fail_the_trial(on_npz: TrialSpec, tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", seed=1)
    (end,) = work(Job(trials=(on_npz,)), Resources(), None)
    assert isinstance(end, Finished)
    assert end.status == "failed"
    assert "has changed since the trial was planned" in end.reason
    assert on_npz.fingerprint in end.reason


def test_a_process_that_loaded_the_data_before_they_changed_loads_them_again(on_npz: TrialSpec, tmp_path: Path) -> None:
    assert list(work(Job(trials=(on_npz,)), Resources(), None))[-1].status == "complete"
    fingerprint = load(npz(tmp_path / "a.npz", seed=1)).fingerprint
    now = TrialSpec.of(on_npz.model_dump() | {"fingerprint": fingerprint})
    assert now.key != on_npz.key
    assert list(work(Job(trials=(now,)), Resources(), None))[-1].status == "complete"


def test_each_trial_has_a_folder_of_its_key(trial: Trial, tmp_path: Path) -> None:
    specs = (trial(seed=0, epochs=1), trial(seed=1, epochs=1))
    list(work(Job(trials=specs), Resources(), tmp_path / "checkpoints"))
    found = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert found == sorted(spec.key for spec in specs)


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, 1), (1, 1), (2.0, 2), (3.9, 3)])
def test_torch_gets_as_many_threads_as_the_trial_has_full_cpus(cpus: float, threads: int, trial: Trial) -> None:
    before = torch.get_num_threads()
    try:
        next(work(Job(trials=(trial(epochs=1),)), Resources(cpus=cpus), None))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_gpu_is_used_if_one_is_asked_for() -> None:
    assert (Resources().device, Resources(gpus=0.5).device) == ("cpu", "cuda")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpus": 10_000}, r"resources.cpus: a trial asks for 10000, and this machine has \d+"),
        ({"gpus": 99}, r"resources.gpus: a trial asks for 99, and this machine has \d+"),
    ],
)
def test_more_than_the_machine_has_is_refused_before_any_training(
    asked: dict[str, float], message: str, trial: Trial, tmp_path: Path
) -> None:
    told: list[Event] = []
    with pytest.raises(InputError, match=message):
        inline.run(Listed([Job(trials=(trial(),))], told.append), resources=Resources(**asked), checkpoints=tmp_path)
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_with_a_name_that_is_not_text_is_written_as_text(tmp_path: Path) -> None:
    failures.write_traceback(tmp_path / "trial", "No such file: a\udce9.png")
    assert (tmp_path / "trial" / failures.TRACEBACK_FILE).read_text(encoding="utf-8") == "No such file: a\\udce9.png"
