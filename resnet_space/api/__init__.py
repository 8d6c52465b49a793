"""The Python interface: one function per task with studies and runs. The command line calls these and prints results.

>>> from pathlib import Path
>>> from resnet_space import api
>>> study = api.study("shortcuts", changes={"seeds": 2})
>>> run = api.run(study, Path("runs/demo"))  # doctest: +SKIP
>>> api.report(run, ["html"])  # doctest: +SKIP

Each function imports what it needs when it is called, so that `--help` loads neither torch nor ray.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from resnet_space.api.comparing import compare as compare
from resnet_space.api.comparing import compare_all as compare_all
from resnet_space.api.comparing import stem_of
from resnet_space.errors import InputError

if TYPE_CHECKING:
    from ablations.published import Published
    from ablations.two_runs import TwoRuns
    from reports.outlook import Outlook
    from reports.page import Page
    from reports.query import Answer
    from reports.runs import Run
    from resnet_space.api.exports import Exported, Options
    from search.files.bucket import Place
    from search.running.feed import Runner
    from search.running.liveness import Liveness
    from search.running.plan import Plan
    from search.running.preflight import Preflight
    from search.running.signals import Stop
    from search.trials.study import Study


def print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def study(source: str | Path, *, profile: str | None = None, changes: Mapping[str, Any] | None = None) -> Study:
    """Return a study by file or shipped name, in one of its profiles, with changes by path; see `studies.load`.

    Raises:
        InputError: the study is wrong; the message has file, path, value, allowed values and nearest name.
    """
    from resnet_space.api.studies import load

    return load(str(source), profile=profile, changes=changes)


def plan(study: Study, *, download: bool = False, unread: bool = False) -> Plan:
    """Load the data and compile the study into a plan.

    Args:
        unread: if a known data set is missing, plan with what is known of it: shape, classes and numbers of images.

    Raises:
        InputError: missing data, or a study that cannot be compiled.
    """
    from resnet_space.api.kinds import compile_plan
    from search.data.loading import load
    from search.data.stand_in import load_or_stand_in

    return compile_plan(study, load_or_stand_in if unread else partial(load, download=download))


def outlook(planned: Plan, *, detect: float | None = None, pilot: Path | None = None) -> Outlook:
    """Forecast the time and memory of a plan, and for an ablation what its seeds can show; see `forecasts.outlook`.

    Raises:
        InputError: as `forecasts.outlook`.
    """
    from resnet_space.api import forecasts

    return forecasts.outlook(planned, detect=detect, pilot=pilot)


def register(planned: Plan, found: Outlook, path: Path) -> None:
    """Write a plan and its forecast to a file, as a pre-registration; see `forecasts.register`.

    Raises:
        InputError: as `forecasts.register`.
    """
    from resnet_space.api import forecasts

    forecasts.register(planned, found, path)


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
    registered: Path | None = None,
    stop: Stop | None = None,
    say: Callable[[str], None] = print_to_stderr,
) -> Run:
    """Run a study, or resume it where it stopped, and return its results.

    Args:
        out: the run's folder. Default: `runs/NAME`.
        download: download the data set if it is missing.
        inline: train in this process, without Ray.
        address: the address of a running Ray cluster. Default: Ray starts on this machine.
        storage: the URL of a database to use instead of the folder's SQLite file.
        checkpoints: the URL of a bucket to use instead of the folder's `checkpoints/`.
        retry_failed: retry failed trials.
        registered: a file that `register` wrote. The run keeps a copy, and its report says what differs from it.
        stop: stops the run when a signal arrives.
        say: is called with each line about the run.

    Raises:
        InputError: the data are missing, the folder belongs to another study, a machine lacks what the study needs, or
            `registered` is no registration.
        KeyboardInterrupt: the run was stopped. Stored results are kept, and the same call resumes the run.
    """
    from resnet_space.api.forecasts import registration
    from resnet_space.api.kinds import kind_of
    from search.running.plan import start_run
    from search.running.preflight import Preflight
    from search.running.progress import Progress

    planned, out = plan(study, download=download), out or Path("runs") / study.name
    promised = registration(planned, registered, out) if registered else None
    with start_run(planned, out, storage=storage, checkpoints=checkpoints, retry_failed=retry_failed) as (
        folder,
        store,
    ):
        if promised:
            promised.keep(folder)
            say(f"{registered}: {promised.compared(study)}")
        for field, before, now in folder.changes:
            say(f"{field} is now {now!r}; it was {before!r} in {out}")
        for notice in planned.notices:
            say(notice)
        total, already = planned.count_trials(store)
        progress = Progress(total=total, already=already, steps=planned.steps)
        feed = kind_of(study).feed.load()(planned, store, progress)
        runner = _runner(Preflight.of(planned, store, folder.checkpoints, say=say), planned, inline, address)
        try:
            with progress:
                if not feed.idle:
                    (stop.kept_by(runner) if stop else runner)(feed)
        finally:
            if progress.machine_lines:
                folder.update_session(kernels=progress.machine_lines)
    return open_run(out, storage, checkpoints)


def open_run(path: Path, storage: str | None = None, checkpoints: str | None = None) -> Run:
    """Return the results in a run's folder; the run can still be running.

    Raises:
        InputError: not a run's folder, or its trials cannot be read.
    """
    from resnet_space.api.folders import open_folder
    from resnet_space.api.kinds import kind_of

    with open_folder(path, storage, checkpoints) as (folder, study, store):
        if not any(store.counts().values()):
            raise InputError(f"{path}: no trials yet")
        return kind_of(study).run.load()(study, folder, store)


class RunState(NamedTuple):
    """The progress of a run."""

    presence: Liveness
    """Trials by status, and whether a driver is running them."""
    left_out: int | None
    """The number of stored trials that do not belong to this run; None if unknown."""
    traceback: Place | None
    """The traceback of the first failed trial."""
    by_data_set: Mapping[str, Mapping[str, int]]
    """The number of trials by status on each data set, by its label; empty for a run on one."""


def status(path: Path, storage: str | None = None) -> RunState:
    """Return the progress of a run. Fast, since programs poll it: if possible, only the database's counts are read.

    Raises:
        InputError: not a run's folder, or its database cannot be read.
    """
    from search.files import failures
    from search.files.folder import RunFolder
    from search.running.liveness import Liveness
    from search.store import membership
    from search.store.status import read_run_status

    folder = RunFolder.existing(path)
    found = None if storage else read_run_status(folder)
    if found is None:
        from search.store.store import Store

        with closing(Store.of(folder, storage)) as store:
            found = store.run_status()
    traceback = failures.first_traceback(found.failed, folder.checkpoints)
    presence = Liveness.of(folder, found)
    if not membership.needs_study(folder):
        return RunState(presence, membership.count_foreign(folder, storage), traceback, {})
    from resnet_space.api.folders import count_own

    left_out, by_data_set = count_own(path, storage, {key for key, _ in presence.interrupted})
    return RunState(presence, left_out, traceback, by_data_set)


def first_traceback(run: Run) -> Place | None:
    """The traceback of the first failed trial; None if no trial failed."""
    from search.files import failures
    from search.trials.record import failed

    found = failures.first_traceback(failed(run.records), run.folder.checkpoints)
    return found.resolve() if isinstance(found, Path) else found


def repair(path: Path) -> list[str]:
    """Rebuild a damaged `trials.db` from its readable parts, keep the damaged file, and return lines that report this.

    Raises:
        InputError: not a run's folder, a driver is running on it, or the file is not damaged.
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
    dataset: str | None = None,
    storage: str | None = None,
) -> Answer:
    """Return the Pareto front of a run, or one network of the front; see `reports.query.ask`.

    Args:
        dataset: the label of a data set, for a run on several: errors on different data have no front in common.

    Raises:
        InputError: as `reports.query.ask` and `StoredRun.on`.
    """
    from reports.query import ask
    from resnet_space.api.folders import open_folder

    with open_folder(path, storage) as stored:
        return ask(stored.on(dataset), wanted=objectives, where=where, budget=budget, at_knee=knee, reference=reference)


def published(dataset: str) -> list[Published]:
    """Return the published results on a data set.

    Raises:
        InputError: there are none.
    """
    from ablations.published import catalogue

    return catalogue(dataset)


def document(found: Run | TwoRuns | Sequence[TwoRuns], *, published: Sequence[Published] = ()) -> Page:
    """What the report of a run, or of a comparison, says: plain data that each format renders.

    Args:
        published: results that are drawn with the front of a run.
    """
    from ablations.two_runs import TwoRuns
    from reports.document import several_runs
    from resnet_space.api.kinds import kind_of

    if isinstance(found, TwoRuns | Sequence):
        return several_runs.document([found] if isinstance(found, TwoRuns) else found)
    return kind_of(found.study).document.load()(found, published=published)


def report(
    found: Run | TwoRuns | Sequence[TwoRuns],
    formats: Sequence[str] = ("html",),
    *,
    published: Sequence[Published] = (),
    figures: Path | None = None,
) -> list[Path]:
    """Write the report of a run, or of a comparison, in each format into the (first) run's folder; return the paths.

    Args:
        published: as in `document`.
        figures: a folder for the figures by themselves; see `reports.write.write`.

    Raises:
        InputError: an unknown format, or one that needs a program that is not installed.
    """
    from ablations.two_runs import TwoRuns
    from reports.write import OF_SEVERAL_RUNS, write
    from resnet_space.api.kinds import kind_of

    page = partial(document, found, published=published)
    if isinstance(found, TwoRuns | Sequence):
        pairs = [found] if isinstance(found, TwoRuns) else found
        folder, stem = pairs[0].first.path / "report", stem_of(pairs)
        return write(folder, stem, formats, page, documents=OF_SEVERAL_RUNS, figures=figures)
    exports = {
        name: {stem: partial(part.load(), found) for stem, part in parts.items()}
        for name, parts in kind_of(found.study).exports.items()
    }
    return write(found.folder.report, "report", formats, page, exports=exports, published=published, figures=figures)


def export(path: Path, network: str, to: Path | str, **options: Unpack[Options]) -> Exported:
    """Write a trained network of a run to a file or folder that works alone; see `exports.export` and its `Options`.

    Raises:
        InputError: as `exports.export`.
    """
    from resnet_space.api import exports

    return exports.export(path, network, to, **options)


def as_optuna(path: Path, storage: str | None = None) -> str:
    """Write a search as an Optuna storage, for optuna-dashboard; return its URL.

    Raises:
        InputError: the folder does not belong to a search.
    """
    found = open_run(path, storage)
    from search.exploring.run import SearchRun

    if not isinstance(found, SearchRun):
        raise InputError(f"{path}: the folder of an ablation; only a search has proposals to show")
    return found.write_optuna()


def _runner(preflight: Preflight, planned: Plan, inline: bool, address: str | None) -> Runner:
    """The runner of jobs: Ray, or with `inline` this process."""
    settings: dict[str, Any] = {
        "resources": planned.study.resources,
        "checkpoints": preflight.checkpoints,
        "preflight": preflight,
    }
    if inline:
        from search.running import inline as inline_runner

        return partial(inline_runner.run, **settings)
    from search.running.ray import runner

    return partial(runner.run, **settings, address=address)
