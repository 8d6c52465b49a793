"""One function for each thing that a user does with studies and runs; the command line parses, calls these, and prints.

>>> from pathlib import Path
>>> from resnet_space import api
>>> study = api.study("shortcuts", changes={"seeds": 2})
>>> run = api.run(study, Path("runs/demo"))  # doctest: +SKIP
>>> api.report(run, ["html"])  # doctest: +SKIP

Each function imports what it needs when it is called: `--help` must need neither torch nor ray.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from resnet_space.errors import InputError

if TYPE_CHECKING:
    from ablations.published import Published
    from ablations.two_runs import TwoRuns
    from reports.outlook import Outlook
    from reports.page import Page
    from reports.query import Answer
    from reports.runs import Run
    from search.files.bucket import Place
    from search.running.feed import Runner
    from search.running.liveness import Presence
    from search.running.plan import Plan
    from search.running.preflight import Preflight
    from search.running.signals import Stop
    from search.trials.study import Study


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def study(source: str | Path, *, profile: str | None = None, changes: Mapping[str, Any] | None = None) -> Study:
    """A study by file or shipped name, in one of its profiles, with changes by path; see `studies.load`.

    Raises:
        InputError: file, path, value, what is allowed, nearest name.
    """
    from resnet_space.api.studies import load

    return load(str(source), profile=profile, changes=changes)


def plan(study: Study, *, download: bool = False) -> Plan:
    """Load the data and compile the study.

    Raises:
        InputError: missing data, or a study that cannot be compiled.
    """
    from resnet_space.api.kinds import KINDS
    from search.data import load

    return KINDS[study.kind].plan.load()(study, load(study.data, download=download))


def outlook(planned: Plan) -> Outlook:
    """What a plan will take, with the first steps of some networks timed."""
    from resnet_space.api.kinds import KINDS

    return KINDS[planned.study.kind].outlook.load()(planned)


def run(
    study: Study,
    out: Path | None = None,
    *,
    download: bool = False,
    inline: bool = False,
    address: str | None = None,
    storage: str | None = None,
    checkpoints: str | None = None,
    retry_failed: bool = False,
    stop: Stop | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Run:
    """Run a study, or continue it where it stopped, and read what was found.

    Args:
        out: the run's folder; `runs/NAME` by default.
        download: get the data set if it is not there.
        inline: train in this process, without Ray.
        address: of a Ray cluster that is running; by default Ray starts on this machine.
        storage: a database URL in place of the folder's SQLite file.
        checkpoints: a bucket's URL in place of the folder's `checkpoints/`.
        retry_failed: try failed trials again.
        stop: ends the run when a signal asks for it.
        say: takes each line about the run.

    Raises:
        InputError: the data are missing, the folder is another study's, or a machine cannot do what the study asks for.
        KeyboardInterrupt: it was stopped. What is stored stays, and the same call continues from there.
    """
    from resnet_space.api.kinds import KINDS
    from search.running.plan import opened
    from search.running.preflight import Preflight
    from search.running.progress import Progress

    planned, out = plan(study, download=download), out or Path("runs") / study.name
    with opened(planned, out, storage=storage, checkpoints=checkpoints, retry_failed=retry_failed) as (folder, store):
        for field, before, now in folder.changes:
            say(f"{field} is {now!r} now, and was {before!r} in {out}")
        for notice in planned.notices:
            say(notice)
        total, already = planned.counted(store)
        progress = Progress(total=total, already=already, steps=planned.steps)
        feed = KINDS[study.kind].feed.load()(planned, store, progress)
        runner = _runner(Preflight.of(planned, store, folder.checkpoints, say=say), planned, inline, address)
        try:
            with progress:
                if not feed.idle:
                    (stop.kept_by(runner) if stop else runner)(feed)
        finally:
            if progress.machines:
                folder.update_session(kernels=progress.machines)
    return open_run(out, storage, checkpoints)


def open_run(path: Path, storage: str | None = None, checkpoints: str | None = None) -> Run:
    """What a run's folder holds, also while it runs.

    Raises:
        InputError: no run's folder, or one whose trials cannot be read.
    """
    from resnet_space.api.folders import reading
    from resnet_space.api.kinds import KINDS

    with reading(path, storage, checkpoints) as (folder, study, store):
        if not any(store.counts().values()):
            raise InputError(f"{path}: no trials yet")
        return KINDS[study.kind].run.load()(study, folder, store)


class State(NamedTuple):
    """How far a run is."""

    presence: Presence
    """Trials by status, and whether a driver is at work on them."""
    left_out: int | None
    """Stored trials that are not of this run; None where that is not known."""
    traceback: Place | None
    """Of the first trial that failed."""


def status(path: Path, storage: str | None = None) -> State:
    """How far a run is, without reading its trials where the folder's own file can be asked: programs ask often.

    Raises:
        InputError: no run's folder, or its database cannot be read.
    """
    from search.files import failures
    from search.files.folder import RunFolder
    from search.running.liveness import Presence
    from search.store.membership import count_foreign
    from search.store.status import read_run_status

    folder = RunFolder.existing(path)
    found = None if storage else read_run_status(folder)
    if found is None:
        from search.store.store import Store

        with closing(Store.of(folder, storage)) as store:
            found = store.run_status()
    traceback = failures.first_traceback(found.failed, folder.checkpoints)
    return State(Presence.of(folder, found), count_foreign(folder, storage), traceback)


def first_traceback(run: Run) -> Place | None:
    """Where the first trial that failed left its traceback; None if none did."""
    from search.files import failures
    from search.trials.record import failed

    found = failures.first_traceback(failed(run.records), run.folder.checkpoints)
    return found.resolve() if isinstance(found, Path) else found


def repair(path: Path) -> list[str]:
    """Rebuild a damaged `trials.db` from what can be read of it, and keep the damaged file; what was done, in lines.

    Raises:
        InputError: no run's folder, a driver is at work on it, or the file is not damaged.
    """
    from search.files.folder import RunFolder
    from search.files.lock import lock_folder
    from search.store.repair import repair as rebuild

    folder = RunFolder.existing(path).path
    with lock_folder(folder, "repair"):
        return rebuild(folder).lines


def front(
    path: Path,
    *,
    objectives: str | None = None,
    where: str | None = None,
    budget: str | None = None,
    knee: bool = False,
    reference: str | None = None,
    storage: str | None = None,
) -> Answer:
    """The Pareto front of a run, or one network of it; see `reports.query.ask`.

    Raises:
        InputError: as there.
    """
    from reports.query import ask
    from resnet_space.api.folders import reading

    with reading(path, storage) as stored:
        return ask(stored, wanted=objectives, where=where, budget=budget, at_knee=knee, reference=reference)


def compare(first: Path, second: Path, *, storage: str | None = None) -> TwoRuns:
    """Two runs side by side.

    Raises:
        InputError: one of them is no run's folder, or has no complete trial.
    """
    from ablations.two_runs import TwoRuns
    from resnet_space.api.folders import reading

    with reading(first, storage) as one, reading(second, storage) as other:
        return TwoRuns.of(one, other)


def published(dataset: str) -> list[Published]:
    """Published results on a data set.

    Raises:
        InputError: there are none.
    """
    from ablations.published import catalogue

    return catalogue(dataset)


def document(found: Run | TwoRuns, *, published: Sequence[Published] = ()) -> Page:
    """What the report of a run, or of a comparison, says: plain data that each format renders.

    Args:
        published: results that are drawn beside the front of a run.
    """
    from ablations.two_runs import TwoRuns
    from reports.document import comparison
    from resnet_space.api.kinds import KINDS

    if isinstance(found, TwoRuns):
        return comparison.document(found)
    return KINDS[found.study.kind].document.load()(found, published=published)


def report(
    found: Run | TwoRuns, formats: Sequence[str] = ("html",), *, published: Sequence[Published] = ()
) -> list[Path]:
    """Write the report of a run, or of a comparison, in each format; the paths. It goes into the (first) run's folder.

    Args:
        published: as in `document`.

    Raises:
        InputError: an unknown format.
    """
    from ablations.two_runs import TwoRuns
    from reports.write import OF_TWO_RUNS, write
    from resnet_space.api.kinds import KINDS

    page = partial(document, found, published=published)
    if isinstance(found, TwoRuns):
        return write(found.first.path / "report", f"compare-{found.second.name}", formats, page, documents=OF_TWO_RUNS)
    exports = {name: partial(part.load(), found) for name, part in KINDS[found.study.kind].exports.items()}
    return write(found.folder.report, "report", formats, page, exports=exports, published=published)


class Exported(NamedTuple):
    paths: list[Path]
    notes: Sequence[str]
    """What the user should know of them."""


def export(
    path: Path, network: str, to: Path, *, storage: str | None = None, checkpoints: str | None = None
) -> Exported:
    """Write a network of a run with its best weights to a file, in the format that its suffix names.

    Args:
        network: its key, the beginning of that, or an arm's name.
        to: FILE.py, FILE.safetensors or FILE.onnx.

    Raises:
        InputError: no run's folder, no or several networks by that name, or a file that cannot be written.
    """
    from resnet_space.api.folders import reading
    from search.running.choice import choose
    from search.training.export import export as write

    with reading(path, storage, checkpoints) as stored:
        choice = choose(stored, network)
    paths = write(choice.net, to, weights=choice.weights, facts=choice.facts, inputs=choice.inputs)
    return Exported(paths, choice.notes)


def as_optuna(path: Path, storage: str | None = None) -> str:
    """Write a search as an Optuna storage, for optuna-dashboard; its URL.

    Raises:
        InputError: the folder is not a search's.
    """
    found = open_run(path, storage)
    from search.exploring.run import SearchRun

    if not isinstance(found, SearchRun):
        raise InputError(f"{path}: the folder of an ablation; only a search has proposals to show")
    return found.write_optuna()


def _runner(preflight: Preflight, planned: Plan, inline: bool, address: str | None) -> Runner:
    """Ray, or this process."""
    settings: dict[str, Any] = {
        "resources": planned.study.resources,
        "checkpoints": preflight.checkpoints,
        "preflight": preflight,
    }
    if inline:
        from search.running import inline as here

        return partial(here.run, **settings)
    from search.running import ray_runner

    return partial(ray_runner.run, **settings, address=address)
