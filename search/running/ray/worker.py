"""The worker: a Ray actor that runs jobs. Worker processes import this module, so it imports no store and no feed."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from ray import tune

from search.files.bucket import Place
from search.training.work import with_timeout
from search.trials.events import Event, as_plain
from search.trials.resources import Resources
from search.trials.trial import Job

Work = Callable[[Job, Resources, Place], Generator[Event]]
"""What a worker does with a job: `search.training.work.work`, or a simulation of it."""


class Worker(tune.Trainable):
    """An actor that runs one job after another, so torch and the data stay loaded. Each `step` returns one event.

    After the last event of a job, `step` returns `{"over": True}`, and `EventScheduler` sends the next job.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], resources: Resources, checkpoints: Place, work: Work, folder: str
    ) -> None:
        self.resources, self.checkpoints, self.work = resources, checkpoints, work
        # The driver's folder: a study can name its data by a relative path. Other machines can lack the folder.
        with suppress(OSError):
            os.chdir(folder)
        # Imported objects stay. A garbage collection over them takes longer than an epoch of a small network.
        gc.freeze()
        self.take(config["job"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.take(new_config["job"])
        return True

    def take(self, job: str) -> None:
        """Leave the current job, if there is one, and start this one."""
        todo = Job.from_json(job)
        folder = self.checkpoints / todo.trials[0].key
        self.events = with_timeout(self.work(todo, self.resources, self.checkpoints), self.resources, folder)

    def step(self) -> dict[str, Any]:
        event = next(self.events, None)
        return {"over": True} if event is None else {"event": as_plain(event)}

    def cleanup(self) -> None:
        """Leave the current job with a checkpoint of the last reported epoch. Tune calls this too."""
        self.events.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: trials write their own checkpoints, without pickle, in the run's folder."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: a trial finds its own checkpoint."""
