"""Run jobs on Ray Tune: on this machine, or on a cluster that is there already. The one module that imports ray."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import chdir, closing, contextmanager, redirect_stdout, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

# Read by ray when it is imported: no files and no folder of its own a trial, Ctrl-C is ours to handle, nothing printed.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# `ray start` asks for the user's token where there is one, and `ray.init(address=...)` shows it only if told to.
if "ray" not in sys.modules and (
    {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    or os.path.isfile(os.path.expanduser("~/.ray/auth_token"))
):
    os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from resnet_space import package_names as packages
from resnet_space.errors import InputError
from search.files.bucket import Place
from search.running import capacity
from search.running import preflight as asking
from search.running.joining import apart, not_joined, reachable, rooted
from search.running.lost_workers import killed_by_signal, most_deaths, reason, short_of_memory
from search.running.preflight import Preflight
from search.training import killed, out_of_memory
from search.training.work import watched, work
from search.trials.events import Event, Finished, Notice, as_event, as_plain
from search.trials.resources import Resources
from search.trials.trial import Job

if TYPE_CHECKING:
    # A worker imports this module, and has no use for the store behind a feed.
    from search.running.feed import Feed

Work = Callable[[Job, Resources, Place], Generator[Event]]
"""What a worker does with a job: `work.work`, or something simulated."""

# By value, and so also where another package has the name of one of ours.
ray.cloudpickle.register_pickle_by_value(packages)  # type: ignore[no-untyped-call]

LEAVING_SECONDS = 30.0
"""How long is waited at a stop for checkpoints to be written. Then the epochs since those before are lost."""

JOBS = 25
"""A Tune trial takes so many jobs, one after another: Tune keeps each of its trials for ever, and beginning one costs
more than a step. Not without end: in a cluster, the trial that Tune has waiting for a worker has its job already."""


def run(
    feed: Feed,
    *,
    resources: Resources,
    checkpoints: Place,
    address: str | None = None,
    preflight: Preflight | None = None,
    work: Work = work,
) -> None:
    """Do every job on some node, telling each event here as it arrives.

    A worker that is lost (killed, its node gone) is replaced up to `resources.retries` times, and its trials go on
    behind their last checkpoint; `checkpoints` must be a folder that all nodes share, or a bucket.

    Raises:
        InputError: the cluster has not the CPUs or GPUs that one job asks for, or there is none at `address`; or a
            node is not what `preflight` asks for.
    """
    # Ray prints on stdout what its workers die of; results alone belong there.
    with redirect_stdout(sys.stderr), _cluster(address) as own:
        check(resources)
        if preflight:
            look(preflight, resources, own)
        number = workers(resources)
        feed.begin(number)
        teller = Teller(feed, resources.retries)
        with tempfile.TemporaryDirectory(prefix="resnet-space-") as scratch, closing(teller):
            worker = tune.with_parameters(
                Worker, resources=resources, checkpoints=checkpoints, work=work, folder=os.getcwd()
            )
            tune.Tuner(
                tune.with_resources(worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=_bounded(Asker(feed), number if own else resources.at_once),
                    scheduler=teller,
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=scratch,
                    verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=resources.retries),
                    callbacks=[Lost(teller, resources, checkpoints)],
                ),
            ).fit()


def check(resources: Resources) -> None:
    """Raise unless one job fits a node of the cluster: Ray alone would wait for ever."""
    capacity.check(_nodes(), resources)


def look(preflight: Preflight, resources: Resources, own_cluster: bool = False) -> None:
    """Ask every node that a job fits whether it is ready; nobody else where that is this process's own alone.

    Workers of the run's own cluster have the import path of this process; others are asked what comes first on theirs.

    Raises:
        InputError: nodes that are not ready, or do not answer, by name.
    """
    names = {
        node["NodeID"]: f"node {node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
        and node["Resources"].get("CPU", 0) >= resources.cpus
        and node["Resources"].get("GPU", 0) >= resources.gpus
    }
    if not own_cluster:
        strangers = _on_each(names, preflight.patience, packages.find_shadowing_package, None)
        preflight.refuse({name: [line] for name, line in strangers.items() if line}, len(names))
    own = ray.get_runtime_context().get_node_id()
    if names.keys() <= {own}:
        preflight.here(workers(resources))
        return
    others = {node: name for node, name in names.items() if node != own}
    with preflight.token() as asked:
        told = _on_each(others, preflight.patience, asking.answer, asked)
        if own in names:
            told[names[own]] = asking.answer(asked)
        preflight.judge(told, workers(resources))
    # Read here already, and on the others perhaps for the first time: by itself, since that may take a while.
    preflight.say(f"data set {preflight.data.name!r}: looking for it on {len(others)} more nodes")
    data = {**preflight.data.model_dump(mode="json"), "root": rooted(preflight.data.root)}
    wrong = _on_each(others, preflight.data_patience, asking.data_there, data, preflight.fingerprint)
    preflight.refuse({name: [line] for name, line in wrong.items() if line}, len(names))
    if preflight.conditions:
        nets, conditions = [net.model_dump(mode="json") for net in preflight.nets], asdict(preflight.conditions)
        bad = _on_each(others, preflight.data_patience, asking.kernels_there, nets, conditions)
        if own in names:
            bad[names[own]] = asking.kernels_there(nets, conditions)
        preflight.refuse({name: lines for name, lines in bad.items() if lines}, len(names))


def _on_each(
    nodes: Mapping[str, str], patience: float, function: Callable[..., Any], *arguments: Any
) -> dict[str, Any]:
    """What a function returns on each node, by the nodes' names.

    Raises:
        InputError: nodes that do not answer within `patience` seconds, or that cannot.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(*arguments): name
        for node, name in nodes.items()
    }
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=patience)
    told, silent = {}, {asked[each]: f"did not answer within {patience:.0f} s" for each in late}
    for each in late:
        ray.cancel(each, force=True)
    for each in ready:
        try:
            told[asked[each]] = ray.get(each)
        except Exception as error:  # whatever is wrong with that node, such as another version of this package
            silent[asked[each]] = f"cannot answer: {str(error).strip().splitlines()[-1]}"
    if silent:
        lines = "\n".join(f"{name} {why}" for name, why in silent.items())
        raise InputError(f"{len(silent)} of {len(asked)} other nodes are not ready:\n{lines}")
    return told


def workers(resources: Resources) -> int:
    """Jobs that the cluster has room for, side by side."""
    return capacity.workers(_nodes(), resources)


def _nodes() -> list[dict[str, float]]:
    """What each node has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


class Worker(tune.Trainable):
    """An actor that takes one job after another; torch and the data stay loaded between them. A step is an event.

    Behind the last event of a job it says so, and `Teller` gives it the next one.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], resources: Resources, checkpoints: Place, work: Work, folder: str
    ) -> None:
        self.resources, self.checkpoints, self.work = resources, checkpoints, work
        # Where the driver is: a study may name its data by a relative path. Other machines may not have the folder.
        with suppress(OSError):
            os.chdir(folder)
        # What was imported stays: to look through it for garbage takes longer than an epoch of a small network.
        gc.freeze()
        self.take(config["job"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.take(new_config["job"])
        return True

    def take(self, job: str) -> None:
        """Leave the job that is being done, if there is one, and begin this one."""
        todo = Job.from_json(job)
        folder = self.checkpoints / todo.trials[0].key
        self.events = watched(self.work(todo, self.resources, self.checkpoints), self.resources, folder)

    def step(self) -> dict[str, Any]:
        event = next(self.events, None)
        return {"over": True} if event is None else {"event": as_plain(event)}

    def cleanup(self) -> None:
        """Leave what is being done, with a checkpoint of the last epoch that was reported; also where Tune ends it."""
        self.events.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: trials keep checkpoints of their own, without pickle, in the run's folder."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial finds its own checkpoint."""


class Asker(Searcher):
    """What Tune starts next is what the feed has next."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searchers to restore an experiment, and we go on from the store instead."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if job := self.feed.next():
            # As text: Tune flattens and copies a configuration, and makes names of it.
            return {"job": job.to_json()}
        return self.FINISHED if self.feed.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the feed is told by `Teller`, which sees every event."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a run goes on from the store, not from Tune's own files."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as for `save`."""


class Teller(FIFOScheduler):
    """Tells the feed what happens, and gives a worker its next job where one is over, or is to be stopped."""

    def __init__(self, feed: Feed, retries: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed, self.retries = feed, retries
        self.taken: Counter[str] = Counter()
        """Jobs by Tune trial."""
        self.ended: dict[str, set[str]] = {}
        """Of the job that each Tune trial has: keys of trials with an end."""
        self.leaving: list[Any] = []
        """What workers answer when they have left their job."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for `Asker`."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # Tune hands nested results over with their names joined.
        event = {name.removeprefix("event/"): value for name, value in result.items() if name.startswith("event/")}
        goes_on = False
        try:
            goes_on = bool(event and not self._tell(trial, as_event(event))) or self._next(trial)
        finally:
            if not goes_on:
                # Tune may keep the worker for later, or, after a signal, not get to end it in good order.
                self.leaving.append(trial.temporary_state.ray_actor.cleanup.remote())
        return self.CONTINUE if goes_on else self.STOP

    def close(self) -> None:
        """Wait for the workers that leave: one that was in the middle of a job writes its checkpoints."""
        if self.leaving:
            ray.wait(self.leaving, num_returns=len(self.leaving), timeout=LEAVING_SECONDS)

    def _tell(self, trial: Any, event: Event) -> bool:
        if isinstance(event, Finished):
            self.ended.setdefault(trial.trial_id, set()).add(event.key)
        return self.feed.tell(event)

    def _next(self, trial: Any) -> bool:
        """Give the trial's worker another job, if there is one and the trial has not had its share."""
        self.ended.pop(trial.trial_id, None)
        self.taken[trial.trial_id] += 1
        job = self.feed.next() if self.taken[trial.trial_id] < JOBS else None
        if job is None:
            del self.taken[trial.trial_id]
            return False
        text = job.to_json()
        # Where the worker is lost, Tune begins the trial anew by this, and counts the losses of this job alone.
        trial.set_config({"job": text})
        trial.run_metadata.num_failures, trial.max_failures = 0, self.retries
        # Calls of one caller run in their order: ahead of the next step.
        trial.temporary_state.ray_actor.take.remote(text)
        return True


class Lost(tune.Callback):
    """Tells the feed of workers that were lost: that they are replaced, or that Tune gives up and their trials failed.

    A callback, since a scheduler hears of errors also where the trial is tried again.
    """

    def __init__(self, teller: Teller, resources: Resources, checkpoints: Place) -> None:
        self.teller, self.feed, self.resources, self.checkpoints = teller, teller.feed, resources, checkpoints

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for `Asker`."""
        return {}

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        job = Job.from_json(trial.config["job"])
        why = reason(trial, job, self.checkpoints, self.resources)
        if short_of_memory(trial):
            # One more try, and no others.
            trial.max_failures = trial.num_failures
        elif killed_by_signal(job, self.checkpoints) and trial.max_failures < self.resources.retries + most_deaths(job):
            # Counted where the trials are done: there it is known which one it was.
            trial.max_failures += 1
        ended = self.teller.ended.get(trial.trial_id, set())
        # The next worker does not do again what has an end; of a job that is all done, the last trial.
        left = tuple(spec for spec in job.trials if spec.key not in ended) or job.trials[-1:]
        trial.set_config({"job": job.model_copy(update={"trials": left}).to_json()})
        for spec in left:
            self.feed.tell(Notice(spec.key, f"its worker was lost, and is replaced: {why}"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        job = Job.from_json(trial.config["job"])
        why = reason(trial, job, self.checkpoints, self.resources)
        lost = f"worker lost {trial.num_failures} times: {why}"
        told = out_of_memory.reason(lost) if short_of_memory(trial) else lost
        for spec in job.trials:
            record = killed.Record.of(self.checkpoints, spec.key)
            end = record.end(spec.key, self.checkpoints) if record.last else Finished(spec.key, "failed", told)
            self.feed.tell(end)


def _bounded(asker: Asker, at_once: int | None) -> Searcher:
    """Asked for so many jobs at a time. By itself Tune takes one more, which waits until a worker has nothing left: in
    a cluster it shows an autoscaler that there is use for another node."""
    return ConcurrencyLimiter(asker, max_concurrent=at_once) if at_once else asker


@contextmanager
def _cluster(address: str | None) -> Iterator[bool]:
    """Connected to the cluster at `address`, or to one of this run's own, and whether it is the run's own; one that is
    connected already stays."""
    if address:
        reachable(address)
    if ray.is_initialized():
        yield False
        return
    with apart() as folder:
        try:
            with chdir(folder):
                ray.init(
                    address=address or "local",
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise not_joined(address, error) from None
        try:
            yield not address
        finally:
            ray.shutdown()
