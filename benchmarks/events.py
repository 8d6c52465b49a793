"""How many events per second does a driver take, with its feed and its store on this disk?

There are no workers: a loop hands out jobs and reports synthetic events, in turns as from 100 workers that train at the
same time: a start, ten epochs and an end per trial. The clock runs while the driver takes events and, in an ablation,
while it hands out jobs; what a search takes for its proposals is measured by `asking.py`. Three ways are measured in
turns: one event at a time, each waiting for the disk, as before; one at a time, waiting only
if it must; and the events of all workers together, as they arrive while earlier ones are stored. Details have the CPU
time too: a disk that other programs use takes several times as long.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

# Before anything imports torch.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

from asking import SPACE
from measuring import ROUNDS, Goal, Measured, in_turns, main, median_of
from rich.console import Console

from ablations.feed import AblationFeed
from ablations.plan import AblationPlan
from ablations.study import Ablation
from search.data import DataSet, Images, load
from search.exploring.feed import SearchFeed
from search.exploring.plan import SearchPlan
from search.exploring.study import Search
from search.running.feed import Feed
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Epoch, Event, Finished, Started
from search.trials.trial import TrialSpec

WORKERS = 100
EPOCHS = 10
ARMS = 20
GOAL = Goal("least", 2000, "/s")

Opened = Callable[[Store, Progress], Feed]


@dataclass
class Taken:
    """What a driver took, and the time that it needed."""

    events: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def timed(self, work: Callable[[], object]) -> None:
        began, cpu = time.monotonic(), time.process_time()
        work()
        self.seconds += time.monotonic() - began
        self.cpu_seconds += time.process_time() - cpu


def ablation(images: Images, trials: int) -> tuple[Opened, int]:
    """Return how to open the feed of an ablation, and the number of its trials."""
    study = Ablation.of(
        {
            "name": "events",
            "net": "resnet20",
            "arms": {
                str(arm): {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -arm / 2}}}
                for arm in range(ARMS)
            },
            "baseline": "0",
            "seeds": trials // ARMS,
            "data": "digits",
            "recipe": "digits",
            "resources": {"fuse": "off"},
        }
    )
    plan = AblationPlan.of(study, images)
    return lambda store, progress: AblationFeed(plan, store, progress), len(plan.first)


def search(images: Images, trials: int) -> tuple[Opened, int]:
    """Return how to open the feed of a search that stops trials early, and the number of its trials."""
    study = Search.of(
        {
            "name": "events",
            "kind": "search",
            "space": SPACE,
            "objectives": ["error", "macs"],
            "budget": {"trials": trials},
            "sampler": "random",
            "stopping": {"kind": "mo_asha", "grace": 1, "reduction": 3},
            "confirm": 0,
            "data": "digits",
            "recipe": {"base": "digits", "epochs": EPOCHS},
        }
    )
    plan = SearchPlan.of(study, images)
    return lambda store, progress: SearchFeed(plan, store, progress), trials


def event(spec: TrialSpec, number: int) -> Event:
    """Return the synthetic event of a trial with this number, from 0."""
    error = int(spec.key, 16) / 16**16 / max(1, number)
    if number == 0:
        return Started(spec.key, "nowhere", "cpu")
    if number > EPOCHS:
        return Finished(spec.key, "complete", "", error, error, 1.0, 1.0)
    return Epoch(spec.key, number, number, 0.1, 1 / number, error, error, 1.0, 1.0)


def drive(opened: Opened, trials: int, *, together: int, count_jobs: bool = True) -> Taken:
    """Run all trials of a feed on a new store, with up to `together` events in a transaction."""
    taken = Taken()
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        Progress(total=trials, already=0, steps=EPOCHS, console=Console(file=nowhere)) as progress,
    ):
        store = Store.at(Path(folder))
        feed = opened(store, progress)
        feed.begin(WORKERS)
        running: dict[str, tuple[TrialSpec, int]] = {}

        def hand_out() -> None:
            while len(running) < WORKERS and (job := feed.next()):
                running.update({spec.key: (spec, 0) for spec in job.trials})

        def tell(events: list[Event]) -> None:
            ended = feed.tell(events) | {each.key for each in events if isinstance(each, Finished)}
            for key in ended:
                running.pop(key, None)

        while True:
            if count_jobs:
                taken.timed(hand_out)
            else:
                hand_out()
            if not running:
                break
            arrived = [event(*each) for each in running.values()]
            running.update({key: (spec, number + 1) for key, (spec, number) in running.items()})
            for begin in range(0, len(arrived), together):
                some = arrived[begin : begin + together]
                taken.timed(lambda some=some: tell(some))  # type: ignore[misc]
            taken.events += len(arrived)
        counts = store.counts()
        store.close()
    if counts["complete"] + counts["pruned"] != trials:
        raise AssertionError(f"not all of {trials} trials have ended: {counts}")
    return taken


def rate(case: str, goal: Goal | None, found: list[Taken], **details: object) -> Measured:
    return median_of(
        case,
        goal,
        [taken.events / taken.seconds for taken in found],
        unit="/s",
        cpu_ms_an_event=[round(1000 * taken.cpu_seconds / taken.events, 4) for taken in found],
        events=[taken.events for taken in found],
        **details,
    )


def measure(quick: bool) -> Iterator[Measured]:
    images = load(DataSet(name="digits"))
    rounds = 1 if quick else ROUNDS
    opened, few = ablation(images, 40 if quick else 100)
    kept: dict[str, list[Taken]] = {}

    def side(name: str, together: int, *, always_wait: bool = False) -> Callable[[], float]:
        def run() -> float:
            waits = mock.patch("search.store.event_writer._happens_once", return_value=True)
            with waits if always_wait else nullcontext():
                taken = drive(opened, few, together=together)
            kept.setdefault(name, []).append(taken)
            return taken.seconds

        return run

    one, now, all_ = f"an ablation's {few} trials, ", "one event at a time", f"events of {WORKERS} workers together"
    before = f"{one}{now}, each waiting for the disk"
    in_turns(side(before, 1, always_wait=True), side(one + now, 1), side(one + all_, WORKERS), rounds=rounds, warm_up=0)
    for name, found in kept.items():
        yield rate(name, GOAL if name == one + all_ else None, found, workers=WORKERS)
    for number in (100,) if quick else (1000, 5000):
        # 5,000 trials contain many rounds, so one is enough.
        rounds = ROUNDS if number == 1000 else 1
        opened, trials = ablation(images, number)
        found = [drive(opened, trials, together=WORKERS) for _ in range(rounds)]
        yield rate(f"an ablation's {trials:,} trials, {all_}", GOAL, found, workers=WORKERS)
        opened, trials = search(images, number)
        found = [drive(opened, trials, together=WORKERS, count_jobs=False) for _ in range(rounds)]
        yield rate(f"a search's {trials:,} trials with MO-ASHA, {all_}", GOAL, found, workers=WORKERS)


if __name__ == "__main__":
    main(measure, number=11, about=__doc__ or "")
