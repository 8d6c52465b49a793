"""A run that a real signal stops: its messages, its files, and how it resumes."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import forks
import pytest
import sweeping
from runs import STUDY, Run, alive, numbers, stored, write

from search.training.checkpoint import NAME

pytestmark = pytest.mark.slow

GOES_ON = "stored results are kept; run the same command again to resume"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with Run(write(folder), folder / "run", "--inline") as run:
        assert run.end() == 0, run.stderr
    return folder / "run"


def went_on(study: Path, out: Path, *options: str) -> None:
    with Run(study, out, *options) as run:
        assert run.end() == 0, run.stderr


def said_how_to_go_on(run: Run, number: signal.Signals) -> None:
    assert run.stderr.splitlines()[-1] == f"stopped by {number.name}; {GOES_ON}"
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert alive(run.mark) == []


def unfinished(out: Path) -> Any:
    """Epochs of trials that have not ended: by the clock, none of their checkpoints would be due yet."""
    trials, curves, _ = stored(out)
    return curves[~curves["key"].isin(trials.loc[trials["status"] == "complete", "key"])]


def not_done_again(epochs: Any, out: Path) -> None:
    """Clocks never agree twice: an epoch that was done again would have another."""
    _, after, _ = stored(out)
    both = epochs.merge(after, on=["key", "epoch"], suffixes=("", "_after"))
    assert len(both) == len(epochs)
    assert both["seconds"].tolist() == both["seconds_after"].tolist()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_stops_a_run_behind_a_checkpoint_and_the_same_command_ends_it_with_the_same_numbers(
    number: signal.Signals, tmp_path: Path, undisturbed: Path
) -> None:
    study, out = write(tmp_path), tmp_path / "run"
    with Run(study, out, "--inline") as run:
        run.until(lambda: run.epochs() >= 2)
        run.process.send_signal(number)
        assert run.end() == 128 + number
    said_how_to_go_on(run, number)
    assert f"{number.name}: no more trials start; waiting up to 60 s for 1 running to finish their epoch" in run.stderr
    counts, begun = stored(out)[2], unfinished(out)
    assert counts["failed"] == 0
    assert counts["complete"] < 4
    assert len(begun) >= 2
    assert {path.parent.name for path in out.glob(f"checkpoints/*/{NAME}")} == set(begun["key"])
    went_on(study, out, "--inline")
    assert numbers(out) == numbers(undisturbed)
    not_done_again(begun, out)
    assert list(out.glob(f"checkpoints/*/{NAME}")) == []
    assert list(out.glob("checkpoints/.*")) == []


PATIENT = """
from search.running.signals import Stop
Stop.__init__.__defaults__ = (36_000.0,)
"""
"""The first signal gives the epoch more time than the test has."""


@pytest.mark.long
def test_a_second_signal_does_not_wait_for_the_epoch(tmp_path: Path) -> None:
    endless = {"data": {"name": "fake", "samples": 50_000, "size": 32}, "set": {}}
    with Run(write(tmp_path, **endless), tmp_path / "run", "--inline", first=PATIENT) as run:
        run.until(run.running)
        run.process.send_signal(signal.SIGTERM)
        run.until(lambda: "no more trials start" in run.stderr)
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 128 + signal.SIGTERM, "that of the first"
    said_how_to_go_on(run, signal.SIGTERM)
    assert run.epochs() == 0


BENCHMARKS = str(Path(sweeping.__file__).parent)
"""Where a process of its own finds `sweeping`."""

IMPATIENT = f"""
import sys
sys.path.append({BENCHMARKS!r})
from functools import partial
from pathlib import Path
from search.running import inline
from search.trials.resources import Resources
from search.running.signals import Stop
from sweeping import Listed
from search.trials.trial import Job, TrialSpec

out, stop = Path(sys.argv[2]), Stop(patience=0.5)
job = Job(trials=(TrialSpec.from_yaml(sys.argv[1]),))
runner = stop.kept_by(partial(inline.run, resources=Resources(), checkpoints=out))
try:
    with stop.listening():
        runner(Listed([job], lambda event: print(type(event).__name__, flush=True)))
except KeyboardInterrupt:
    print("stopped", flush=True)
sys.exit(stop.status)
"""


@pytest.mark.long
def test_an_epoch_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    from resnet_space import preset
    from search.data import DataSet, load
    from search.trials.recipe import Recipe
    from search.trials.trial import TrialSpec

    data = DataSet(name="fake", samples=20_000, size=32)
    images = load(data)
    spec = TrialSpec(
        architecture=preset("resnet20").assign({"input_shape": images.shape, "classes": images.classes}),
        recipe=Recipe.of({"epochs": 1}),
        data=data,
        fingerprint=images.fingerprint,
        seed=0,
    )
    (tmp_path / "spec.yaml").write_text(spec.to_yaml())
    with forks.Child(["-c", IMPATIENT, tmp_path / "spec.yaml", tmp_path]) as process:
        assert process.stdout
        assert process.stdout.readline() == "Started\n"
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=120)
    assert out == "stopped\n", err
    assert process.returncode == 128 + signal.SIGUSR1
    assert "Traceback" not in err


@pytest.mark.long
@pytest.mark.timeout(600)
def test_signals_at_any_moment_change_no_number(tmp_path: Path, undisturbed: Path) -> None:
    """Also while libraries are imported, data are read, the store is made or written to, and the report is written."""
    moments, study, out = random.Random(7), write(tmp_path), tmp_path / "run"
    for number in range(12):
        # Every third imports all that it needs; the others begin with that done.
        fresh = number % 3 == 0
        with Run(study, out, "--inline", fresh=fresh) as run:
            time.sleep(moments.uniform(1, 8) if fresh else moments.uniform(0, 3))
            if run.process.poll() is not None:
                break
            run.process.send_signal(signal.SIGUSR1)
            status = run.end()
        assert status in (0, 128 + signal.SIGUSR1, -signal.SIGUSR1), run.stderr
        assert "Traceback" not in run.stderr
    went_on(study, out, "--inline")
    assert numbers(out) == numbers(undisturbed)


@pytest.mark.long
@pytest.mark.timeout(600)  # Ray starts three times
def test_on_ray_signals_leave_no_process_and_the_same_numbers(tmp_path: Path) -> None:
    # Workers report epochs every two seconds only, so trials must be longer; as short ones, they train one by one.
    longer = {"recipe": STUDY["recipe"] | {"epochs": 200}, "resources": {"fuse": "off"}}
    study, out, begun = write(tmp_path, **longer), tmp_path / "run", []
    with Run(study, tmp_path / "undisturbed", "--inline") as run:
        assert run.end() == 0, run.stderr
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
        with Run(study, out) as run:
            run.until(run.running)
            if number == signal.SIGINT:
                # Ctrl-C: a terminal tells all of the group, Ray's processes too.
                os.killpg(run.process.pid, number)
            else:
                run.process.send_signal(number)
            assert run.end() == 128 + number, run.stderr
        said_how_to_go_on(run, number)
        assert stored(out)[2]["failed"] == 0
        begun.append(unfinished(out))
    went_on(study, out, "--inline")
    assert numbers(out) == numbers(tmp_path / "undisturbed")
    for epochs in begun:
        not_done_again(epochs, out)


def test_a_signal_while_ray_starts_ends_it(tmp_path: Path) -> None:
    """Ray has handlers of its own until it is up."""
    with Run(write(tmp_path), tmp_path / "run") as run:
        run.until(lambda: len(alive(run.mark)) > 1)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 128 + signal.SIGTERM, run.stderr
    said_how_to_go_on(run, signal.SIGTERM)
