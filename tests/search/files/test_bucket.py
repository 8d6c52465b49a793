"""Checkpoints in a bucket: the same files with the same guarantees, for nodes that share no file system."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from buckets import Server
from safetensors.torch import load, load_file
from verbs import Cli

from resnet_space import build
from resnet_space.errors import InputError
from search.data import DataSet, Images
from search.files import bucket, failures
from search.files.bucket import Bucket, Place, Unreachable
from search.running.preflight import Preflight
from search.training import checkpoint
from search.training.checkpoint import BEFORE, NAME, WEIGHTS, DamagedCheckpoint, State
from search.training.optimizers import make_optimizer
from search.training.train import train
from search.trials.events import Finished, Notice, Started
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {
    "folder": lambda request: Path(request.getfixturevalue("tmp_path")) / "checkpoints",
    "bucket": lambda request: Bucket.of(request.getfixturevalue("bucket_url")),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Where checkpoints are: a folder, and a bucket."""
    return PLACES[request.param](request)


@pytest.fixture
def kept(place: Place, trial: Trial) -> Callable[[int], None]:
    """Write the checkpoint of a step."""
    model = build(trial().architecture)
    optimizer = make_optimizer(model, trial().recipe)
    return lambda step: checkpoint.save(place / "a", model, optimizer, State(step), "cpu")


@pytest.fixture
def step_of(trial: Trial) -> Callable[[Place], int]:
    """The step of a checkpoint."""
    model = build(trial().architecture)
    optimizer = make_optimizer(model, trial().recipe)
    return lambda path: checkpoint.load(path, model, optimizer, "cpu").step


# The same guarantees for both


def test_two_generations_of_checkpoints_are_kept(place: Place, kept: Any, step_of: Any) -> None:
    for step in (7, 14, 21):
        kept(step)
    assert [step_of(place / "a" / name) for name in (NAME, BEFORE)] == [21, 14]
    checkpoint.restore_previous(place / "a")
    assert step_of(place / "a" / NAME) == 14
    with pytest.raises(FileNotFoundError):
        step_of(place / "a" / BEFORE)
    checkpoint.restore_previous(place / "a")
    with pytest.raises(FileNotFoundError):
        step_of(place / "a" / NAME)


def test_a_damaged_checkpoint_is_moved_away(place: Place, kept: Any, step_of: Any) -> None:
    kept(7)
    content = (place / "a" / NAME).read_bytes()
    (place / "a" / NAME).write_bytes(content[:-1])
    with pytest.raises(DamagedCheckpoint, match="it has changed since it was written"):
        step_of(place / "a" / NAME)
    assert not (place / "a" / NAME).is_file()
    assert (place / "a" / "checkpoint.damaged").is_file()


def test_only_checkpoints_of_finished_trials_are_removed(place: Place, kept: Any, trial: Trial) -> None:
    kept(7)
    kept(14)
    checkpoint.save_weights(place / "a", build(trial().architecture))
    (place / "a" / ".checkpoint.pt.123").write_text("half written")
    checkpoint.remove_leftovers(place, {"b"})
    assert len(list(place.glob("*/*"))) == 4
    checkpoint.remove_leftovers(place, {"a", "b"})
    assert [path.name for path in place.glob("*/*")] == [WEIGHTS]
    checkpoint.remove_checkpoints(place / "a")


def test_glob_finds_files_at_the_depth_of_the_pattern(place: Place) -> None:
    for name in ("a", "b"):
        bucket.write_file(place / name / "file", b"")
    bucket.write_file(place / "top", b"")
    assert sorted(path.name for path in place.glob("to*")) == ["top"]
    assert sorted(path.parent.name for path in place.glob("*/file")) == ["a", "b"]
    assert [str(path) for path in place.glob("a/*")] == [f"{place}/a/file"]
    assert list((place / "nothing").glob("*")) == []


def test_a_resumed_trial_ends_with_the_same_bits_as_one_that_never_stopped(
    place: Place, trial: Trial, digits: Images, tmp_path: Path
) -> None:
    spec = trial(epochs=3)
    list(train(spec, digits, folder=tmp_path / "whole"))
    list(islice(train(spec, digits, folder=place / spec.key), 3))
    started, *_, end = train(spec, digits, folder=place / spec.key)
    assert isinstance(started, Started)
    assert started.step > 0
    assert isinstance(end, Finished)
    assert end.status == "complete"
    assert (place / spec.key / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert [path.name for path in place.glob("*/*")] == [WEIGHTS]


def test_preflight_accepts_a_working_bucket_and_leaves_no_files(place: Place, digits: Images) -> None:
    bucket.write_file(place / ".preflight-0123456789abcdef" / "driver", b"left by one that was killed")
    Preflight(
        place, [(DataSet(name="digits", limit=200), digits.fingerprint)], checkpoint_bytes=10**6
    ).check_this_machine(2)
    assert list(place.glob("*/*")) == []


# Only for buckets


@contextmanager
def unasked_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Meanwhile nobody waits in order to ask a bucket again."""

    def sleep(seconds: float) -> None:
        raise AssertionError("who asks waits for the bucket")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
        yield


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gs://runs/a", "checkpoints 'gs://runs/a': must be s3://BUCKET/PREFIX"),
        ("/shared/runs", "checkpoints '/shared/runs': must be s3://BUCKET/PREFIX"),
        ("s3:///a", "checkpoints 's3:///a': must be s3://BUCKET/PREFIX"),
        (
            "s3://key:secret@runs/a",
            "checkpoints 's3://runs/a': contains a password; put credentials where AWS looks: AWS_ACCESS_KEY_ID, ...",
        ),
        (
            "s3://runs/a?regoin=x",
            "checkpoints 's3://runs/a?regoin=x': unknown option 'regoin'; did you mean 'region'? "
            "allowed: region, endpoint_override, scheme",
        ),
    ],
)
def test_a_url_that_is_not_a_buckets_is_refused(url: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        Bucket.of(url)
    assert str(error.value) == told


def test_a_missing_bucket_is_refused_before_the_first_trial(s3: Server, digits: Images) -> None:
    there = s3.url("there").replace("there", "elsewhere")
    preflight = Preflight(Bucket.of(there), [(DataSet(name="digits", limit=200), digits.fingerprint)])
    with pytest.raises(InputError, match=r"s3://elsewhere/runs: cannot be written here \(.+\); choose another --check"):
        preflight.check_this_machine(1)


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_stops_answering_is_reported_once_and_training_continues(
    trial: Trial, digits: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Server() as away:
        place = Bucket.of(away.url("away"))
        spec = trial(epochs=4)
        events = train(spec, digits, folder=place / spec.key)
        told = [next(events), next(events)]
        away.stop()
        with unasked_again(monkeypatch):
            told += [next(events), next(events), next(events), next(events)]
        assert [type(event).__name__ for event in told] == ["Started", "Epoch", "Epoch", "Notice", "Epoch", "Epoch"]
        assert isinstance(told[3], Notice)
        assert told[3].text.startswith(f"{NAME}: ")
        assert told[3].text.endswith("; training continues without a new checkpoint")
        end = next(events)
        assert isinstance(end, Finished)
        assert (end.status, end.reason[:28]) == ("failed", "its weights could not be kep")

        monkeypatch.setattr(bucket, "RETRY_SECONDS", 0)
        # It resumes from its last checkpoint as soon as the bucket answers; until then it does not start again.
        with pytest.raises(Unreachable, match="s3://away/runs/"):
            next(train(spec, digits, folder=place / spec.key))


@pytest.mark.usefixtures("credentials")
def test_a_run_that_ends_asks_an_unreachable_bucket_only_once_for_tracebacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Server() as away:
        place = Bucket.of(away.url("away"))
        failures.write_traceback(place / "ab12", "Traceback: here")
        assert failures.first_traceback(["0", "../../x", "ab12"], place) == place / "ab12" / failures.TRACEBACK_FILE
        away.stop()
        asked, ask = list[str](), Bucket.is_file
        monkeypatch.setattr(Bucket, "is_file", lambda self, **how: asked.append(str(self)) or ask(self, **how))
        with unasked_again(monkeypatch):
            assert failures.first_traceback([f"{number:x}" for number in range(100)], place) is None
        assert asked == [f"{place}/0/{failures.TRACEBACK_FILE}"]


def test_a_request_to_a_bucket_is_retried_until_it_answers(s3: Server, bucket_url: str) -> None:
    bucket.write_file(Bucket.of(bucket_url) / "word", b"hello")
    with ThreadPoolExecutor() as pool:
        with s3.asleep():
            asked = pool.submit((Bucket.of(bucket_url) / "word").read_bytes)
            with pytest.raises(TimeoutError):
                asked.result(2)
        assert asked.result(60) == b"hello"


def test_a_run_keeps_its_checkpoints_in_a_bucket_and_export_reads_weights_from_it(
    resnet_space: Cli, bucket_url: str, tmp_path: Path
) -> None:
    study = ("transitions", "--seeds", "1", "--epochs", "1", "--set", "width=0.25", "--set", "stages.*.units=1")
    ran = resnet_space(
        "run", *study, "--set", "data.limit=200", "--inline", "--out", "here", "--checkpoints", bucket_url
    )
    assert ran.status == 0, ran.err
    assert not (tmp_path / "here" / "checkpoints").exists()
    place = Bucket.of(bucket_url)
    assert {path.name for path in place.glob("*/*")} == {WEIGHTS}
    assert '"checkpoints": "s3://' in (tmp_path / "here" / "manifest.json").read_text()

    taken = resnet_space(
        "export", "here", "--arm", "A, zero padding", "--to", "A.safetensors", "--checkpoints", bucket_url
    )
    assert taken.status == 0, taken.err
    there = [load(path.read_bytes()) for path in place.glob("*/*")]
    weights = load_file("A.safetensors")
    assert any(one.keys() == weights.keys() and all(torch.equal(one[k], weights[k]) for k in one) for one in there)
    unasked = resnet_space("export", "here", "--arm", "A, zero padding", "--to", "A.safetensors")
    assert unasked.status == 2
    assert "or they are in a bucket: pass it as --checkpoints" in unasked.err
    moved = resnet_space("run", *study, "--set", "data.limit=200", "--inline", "--out", "here")
    assert moved.err.startswith("checkpoints is now None; it was 's3://")
