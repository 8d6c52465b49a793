"""The worker: a Ray actor that runs jobs. Worker processes import this module, so it imports no store and no feed."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any

import ray
from ray import tune

from search.files.bucket import Place
from search.running.preflight import versions
from search.running.ray.connection import Connection
from search.training.timeout import with_timeout
from search.trials.events import Epoch, Event, Finished, Probe
from search.trials.resources import Resources
from search.trials.trial import Job

Work = Callable[[Job, Resources, Place], Generator[Event]]
"""What a worker does with a job: `search.training.work.work`, or a simulation of it."""


class Worker(tune.Trainable):
    """An actor that runs one job after another, so torch and the data stay loaded. Its only `step` is all of its jobs.

    Tune starts it, and another one if it is lost; everything else goes through the `exchange`.
    """

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        exchange: Any,
        resources: Resources,
        checkpoints: Place,
        work: Work | None,
        folder: str,
    ) -> None:
        """Without `work`, a job is trained by `search.training.work.work`."""
        self.exchange, self.resources, self.checkpoints, self.work = exchange, resources, checkpoints, work
        # The driver's folder: a study can name its data by a relative path. Other machines can lack the folder.
        with suppress(OSError):
            os.chdir(folder)

    def step(self) -> dict[str, Any]:
        connection = Connection(self.exchange, self.trial_id)
        if not connection.join(ray.get_runtime_context().get_node_id(), versions()):
            return {"done": True}
        # After the versions were compared: this imports torch.
        work = self.work or training()
        # Imported objects stay. A garbage collection over them takes longer than an epoch of a small network.
        gc.freeze()
        while (job := connection.next_job()) is not None:
            self.run(work, Job.of(json.loads(job)), connection)
        return {"done": True}

    def run(self, work: Work, job: Job, connection: Connection) -> None:
        """Run a job until it is over or to be stopped; then it writes a checkpoint of its last epoch."""
        keys, folder = {spec.key for spec in job.trials}, self.checkpoints / job.trials[0].key
        events = with_timeout(work(job, self.resources, self.checkpoints), self.resources, folder)
        with closing(events):
            for event in events:
                connection.report(event, wait=must_wait(event, job))
                if connection.stopped(keys):
                    break

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: trials write their own checkpoints, without pickle, in the run's folder."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: a trial finds its own checkpoint."""


def training() -> Work:
    from search.training.work import work

    return work


def must_wait(event: Event, job: Job) -> bool:
    """Whether a job continues only after the driver's answer to this event.

    It does after the end of a trial, since its checkpoints are then removed, and after a probe, since the checkpoint
    that follows has its epoch: neither would be reported again. And it does after an epoch that is judged: whether the
    trial is stopped there must not depend on how fast messages are.
    """
    return isinstance(event, Finished | Probe) or (isinstance(event, Epoch) and event.epoch in job.judged)
