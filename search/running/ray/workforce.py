"""The workers of a run: Ray Tune starts as many as the cluster has places, and replaces lost ones.

A Tune trial is one worker process, which runs jobs until the run is over. Tune sees neither jobs nor events.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayError
from ray.tune.search import Searcher

from search.files.bucket import Place
from search.running.ray.messages import AllLost, Lost
from search.running.ray.worker import Work, Worker
from search.trials.resources import Resources

MAX_FAILED_STARTS = 3
"""Workers cannot start if each place has lost one, and one place this many, before any was ready."""
LONGEST_PAUSE_SECONDS = 60.0
"""The longest time between two attempts to start workers where they fail to start."""
PLACES_SECONDS = 1.0
"""How long the number of places of a cluster is used before it is counted again."""
END_SECONDS = 20.0
"""How long the end of a run waits for Tune. Ray then ends the workers itself, with the driver."""


class Demand:
    """How many workers there should be, and whether starting them is of use. Shared by the driver and Tune's thread."""

    def __init__(self, places: Callable[[], int], *, spare: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`spare` is the number of workers that wait for a place: one of them shows an autoscaler that another node
        would be used."""
        self._places, self._spare, self._clock = places, spare, clock
        self._counted, self._number = -PLACES_SECONDS, 0
        self.unfit: set[str] = set()
        """Workers that keep their places and get no jobs, because their nodes are not fit for the run."""
        self.failed_starts = 0
        """How many workers were lost before they were ready, since the last one that was."""
        self._paused_until = 0.0
        self.over = False
        """Whether no more workers are needed."""

    @property
    def places(self) -> int:
        """The number of workers that can run at the same time."""
        now = self._clock()
        if now - self._counted >= PLACES_SECONDS:
            self._counted, self._number = now, self._places()
        return self._number

    def wants(self, workers: int) -> bool:
        """Whether to start another worker, if there are this many, waiting ones included."""
        wanted = self.places + len(self.unfit) + self._spare
        return not self.over and workers < wanted and self._clock() >= self._paused_until

    def note_start(self) -> None:
        """Note that a worker is ready."""
        self.failed_starts = 0

    def note_failed_start(self) -> None:
        """Note that a worker was lost before it was ready. The more in a row, the longer the pause before the next."""
        self.failed_starts += 1
        extra = self.failed_starts - self.places
        if extra > 0:
            self._paused_until = self._clock() + min(2.0 ** (extra - 1), LONGEST_PAUSE_SECONDS)

    @property
    def hopeless(self) -> bool:
        """Whether so many workers were lost before they were ready that no other would start either."""
        return self.failed_starts >= self.places + MAX_FAILED_STARTS - 1


class WorkerSearcher(Searcher):
    """Suggests to Tune another trial, that is a worker, while more are wanted."""

    def __init__(self, demand: Demand) -> None:
        super().__init__()
        self.demand = demand
        self.workers: set[str] = set()
        """The workers that Tune has started, or waits to start."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its searchers to restore an experiment, but we resume from the store."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if self.demand.over:
            return self.FINISHED
        if not self.demand.wants(len(self.workers)):
            return None
        self.workers.add(trial_id)
        return {}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.workers.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a run resumes from the store, not from Tune's files."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as for `save`."""


class LossCallback(tune.Callback):
    """Reports lost workers to the driver. Tune replaces none: the searcher suggests another one."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, as for `WorkerSearcher`."""
        return {}

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self.exchange.post.remote(Lost(trial.trial_id, error_lines(trial)))


class EndStopper(tune.Stopper):
    """Stops all workers when the run is over, also those that still wait for a place."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.demand.over


def error_lines(trial: Any) -> tuple[str, ...]:
    """Return the lines of Ray's message about a lost worker, without the line with the time."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    return message_lines(text)[1:]


def message_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a message that are not empty."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


class Workforce:
    """Runs Tune in a thread, so that signals and the driver's own work do not wait for it. Use it as a context.

    Leaving it ends all workers: those that wait for a job leave, and after an exception the others are ended.
    """

    def __init__(
        self, demand: Demand, exchange: Any, *, resources: Resources, checkpoints: Place, work: Work | None
    ) -> None:
        self.demand, self._exchange = demand, exchange
        self._needs = {"cpu": resources.cpus, "gpu": resources.gpus}
        self._given = {
            "exchange": exchange,
            "resources": resources,
            "checkpoints": checkpoints,
            "work": work,
            "folder": os.getcwd(),
        }
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tune", daemon=True)

    def __enter__(self) -> Workforce:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.demand.over = True
        with suppress(RayError):
            ray.get(self._exchange.close.remote(at_once=kind is not None), timeout=END_SECONDS)
        self._thread.join(END_SECONDS)

    def check(self) -> None:
        """Check that Tune is running.

        Raises:
            BaseException: what has ended it.
        """
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self.demand.over:
                self._fit_once()
        except BaseException as error:
            self._error = error

    def _fit_once(self) -> None:
        """Run Tune until the run is over, or until it ends because Ray has killed a worker for lack of memory.

        Tune takes a loss of this kind for an error of its own, depending on which of Ray's messages comes first.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="resnet-space-") as scratch:
                self._fit(scratch)
        except RuntimeError as error:
            if not isinstance(error.__cause__, OutOfMemoryError):
                raise
            # By now it has ended all other workers too.
            self._exchange.post.remote(AllLost(message_lines(str(error.__cause__))))
        else:
            if not self.demand.over:
                raise RuntimeError("Ray Tune has ended, and the run is not over")

    def _fit(self, scratch: str) -> None:
        tune.Tuner(
            tune.with_resources(tune.with_parameters(Worker, **self._given), self._needs),
            tune_config=tune.TuneConfig(
                search_alg=WorkerSearcher(self.demand),
                num_samples=-1,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="workers",
                storage_path=scratch,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[LossCallback(self._exchange)],
                stop=EndStopper(self.demand),
            ),
        ).fit()
