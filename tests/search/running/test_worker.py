"""When a worker continues with a job before the driver has answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from search.running.ray.worker import must_wait
from search.trials.events import Epoch, Event, Finished, Notice, Probe, Started
from search.trials.trial import Job, TrialSpec


def epoch(number: int) -> Epoch:
    return Epoch("k", number, number, 0.1, 2.0, 0.5, 0.5, 1.0, 200.0)


@pytest.mark.parametrize(
    "event", [Finished("k", "complete"), Probe("k", 2, [1.0], [1.0], [1.0], [0.0]), epoch(3)], ids=repr
)
def test_what_would_not_be_reported_again_is_stored_before_the_job_continues(
    event: Event, trial: Callable[..., TrialSpec]
) -> None:
    assert must_wait(event, Job(trials=(trial(),), judged=(3,)))


@pytest.mark.parametrize("event", [Started("k", "h", "cpu"), epoch(2), Notice("k", "text")], ids=repr)
def test_a_job_does_not_wait_after_other_events(event: Event, trial: Callable[..., TrialSpec]) -> None:
    assert not must_wait(event, Job(trials=(trial(),), judged=(3,)))
