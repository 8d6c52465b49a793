"""Jobs."""

from __future__ import annotations

import json
from collections.abc import Callable

from search.trials.trial import Job, TrialSpec

Trial = Callable[..., TrialSpec]


def test_a_job_keeps_its_name_when_some_of_its_trials_have_ended(trial: Trial) -> None:
    """Records of what happened to it before are under that name."""
    job = Job(trials=tuple(trial(seed=seed) for seed in range(3)))
    assert job.name == job.trials[0].key
    assert job.model_copy(update={"trials": job.trials[1:]}).name == job.name


def test_a_job_is_the_same_after_its_way_to_a_worker(trial: Trial) -> None:
    job = Job(trials=(trial(seed=1), trial(seed=2)), probes=(0, 3), together=True, judged=(1, 3, 9))
    assert Job.of(json.loads(job.to_json())) == job
