"""The front door: `resnet-space VERB`. Results on stdout, progress and errors on stderr; exit status 0, 1 or 2.

Each verb imports what it needs when it is called, so that `--help` needs neither torch nor ray.
"""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from resnet_space.errors import InputError, plain, text, unknown
from resnet_space.options import as_paths, given
from resnet_space.printing import console, print_json, print_table

if TYPE_CHECKING:
    from search.running.feed import Runner
    from search.running.preflight import Preflight
    from search.trials.resources import Resources

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ablate and search residual networks: describe a space or a question, run it, read the answer.",
)

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a field by path; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Profile = Annotated[str | None, typer.Option(help="A form of the study, such as laptop or paper.")]
Url = partial(typer.Option, metavar="URL", callback=text)
Checkpoints = Annotated[str | None, Url(help="A bucket in place of the folder's checkpoints/: s3://BUCKET/PREFIX.")]
Storage = Annotated[str | None, Url(help="A database in place of the folder's SQLite file.")]


@app.command("list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="presets, studies, datasets, shortcuts, orders, branches, recipes, samplers, stopping, designs, "
            "references, published"
        ),
    ] = "presets",
    dataset: Annotated[str | None, typer.Option(help="Of what is published, the results on a data set.")] = None,
    json: Json = False,
) -> None:
    """List what there is."""
    from reports import catalogue

    if json:
        print_json(catalogue.records(what, dataset))
    else:
        print_table(*catalogue.listing(what, dataset))
        for line in catalogue.NOTES.get(what, ()):
            typer.echo(line)


@app.command()
def show(
    net: Annotated[str, typer.Argument(help="A preset's name, a file with an architecture, or a reference.")],
    changes: Set = None,
    json: Json = False,
) -> None:
    """Show a network: stages, depth, parameters, MACs, and what was not counted."""
    from resnet_space import inspection, references

    if net in references.REFERENCES:
        told = references.facts(net, as_paths(changes))
        print_json(told) if json else typer.echo("\n".join(references.lines(told)))
        return
    architecture = inspection.read(net, as_paths(changes))
    if json:
        print_json(inspection.facts(architecture))
    else:
        headings, rows = inspection.stages(architecture)
        print_table(headings, rows)
        for line in inspection.lines(architecture):
            typer.echo(line)


@app.command()
def schema(what: Annotated[str, typer.Argument(help="architecture, space or study")]) -> None:
    """Print the JSON Schema of a description, for editors."""
    from reports import catalogue

    if what not in catalogue.SCHEMAS:
        raise unknown("description", what, catalogue.SCHEMAS)
    print_json(catalogue.SCHEMAS[what]())


@app.command()
def plan(
    study: Annotated[str, typer.Argument(help="A shipped study's name, or a file.")],
    profile: Profile = None,
    dataset: Annotated[str | None, typer.Option(help="Another data set.")] = None,
    data_root: Annotated[str | None, typer.Option(help="Where the data set lies.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds for every arm, or to confirm a front with.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs for every trial.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials that a search may begin.")] = None,
    changes: Set = None,
    json: Json = False,
) -> None:
    """Say what a study will take before it trains: trials, networks, costs, time, memory, what does not fit."""
    from ablations import kinds
    from ablations.library import load
    from reports.outlook import blocks, outlook
    from reports.terminal import parts

    changed = given(changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials)
    planned = kinds.plan(load(study, profile=profile, changes=changed))
    found = outlook(planned)
    if json:
        print_json(found.as_json(planned.study.resources.gpus, planned.study.resources.cpus))
    else:
        for part in parts(blocks(found)):
            console().print(part, soft_wrap=isinstance(part, str))


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study's name, or a file.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; by itself runs/STUDY.")] = None,
    profile: Profile = None,
    dataset: Annotated[str | None, typer.Option(help="Another data set.")] = None,
    data_root: Annotated[str | None, typer.Option(help="Where the data set lies.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Get the data set if it is not there.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Seeds for every arm.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs for every trial.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials that a search may begin.")] = None,
    changes: Set = None,
    inline: Annotated[bool, typer.Option("--inline", help="In this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(callback=text, help="A Ray cluster that is there already.")] = None,
    storage: Storage = None,
    checkpoints: Checkpoints = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed trials again.")] = False,
) -> None:
    """Run a study, or go on where it stopped: the same command again is resume."""
    from search.running.signals import Stop

    changed = given(changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials)
    stop = Stop()
    try:
        # From here on: what is imported next takes seconds.
        with stop.listening():
            from ablations import kinds
            from ablations.library import load
            from reports.write import answer, write
            from search.files import failures
            from search.running.plan import opened
            from search.running.preflight import Preflight
            from search.running.progress import Progress

            plan = kinds.plan(load(study, profile=profile, changes=changed), download=download)
            folder = out or Path("runs") / plan.study.name
            where: dict[str, Any] = {"storage": storage, "checkpoints": checkpoints}
            with opened(plan, folder, **where, retry_failed=retry_failed) as (run_folder, store):
                for field, before, now in run_folder.changes:
                    typer.echo(f"{field} is {now!r} now, and was {before!r} in {folder}", err=True)
                for notice in plan.notices:
                    typer.echo(notice, err=True)
                total, already = plan.counted(store)
                progress = Progress(total=total, already=already, steps=plan.steps)
                feed = kinds.feed(plan, store, progress)
                preflight = Preflight.of(plan, store, run_folder.checkpoints, say=partial(typer.echo, err=True))
                runner = stop.kept_by(_runner(plan.study.resources, preflight, inline, address))
                try:
                    with progress:
                        if not feed.idle:
                            runner(feed)
                finally:
                    if progress.machines:
                        run_folder.amend(kernels=progress.machines)
                traceback = failures.first(store.standing().failed, run_folder.checkpoints)
            result = kinds.read(folder, storage)
            for part in answer(result):
                console().print(part, soft_wrap=isinstance(part, str))
            for path in write(result, ["md", "html"]):
                typer.echo(f"report: {path}")
            if traceback:
                typer.echo(f"first traceback: {traceback}", err=True)
    except KeyboardInterrupt:
        typer.echo(f"stopped by {stop.name}; what is stored stays, and the same command goes on from there", err=True)
        raise typer.Exit(stop.status) from None
    if result.failed:
        raise typer.Exit(1)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    storage: Storage = None,
    json: Json = False,
) -> None:
    """How many trials are complete, running, waiting, diverged, failed; with reasons and the path of a traceback."""
    from search.files import failures
    from search.files.folder import RunFolder
    from search.running.liveness import Presence
    from search.store.membership import left_out, strangers
    from search.store.status import glance

    run_folder = RunFolder.existing(folder)
    found = None if storage else glance(run_folder)
    if found is None:
        from search.store.store import Store

        with closing(Store.of(run_folder, storage)) as store:
            found = store.standing()
    presence, others = Presence.of(run_folder, found), strangers(run_folder, storage)
    traceback = failures.first(found.failed, run_folder.checkpoints)
    if json:
        print_json(presence.as_json() | {"traceback": str(traceback) if traceback else None, "left_out": others})
        return
    print_table(("status", "trials"), [(name, str(count)) for name, count in presence.counts.items()])
    if found.reasons:
        print_table(("status", "reason", "trials"), [(name, why, str(count)) for name, why, count in found.reasons])
    if others:
        typer.echo(left_out(others))
    for line in presence.lines:
        typer.echo(line)
    if traceback:
        typer.echo(f"first traceback: {traceback}")


@app.command()
def front(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    objectives: Annotated[str | None, typer.Option(help="What is to be small, such as error,macs.")] = None,
    where: Annotated[str | None, typer.Option(help='A filter, such as "macs < 1e8 and depth >= 20".')] = None,
    budget: Annotated[str | None, typer.Option(help='The one best that keeps to it: "macs <= 5e7".')] = None,
    knee: Annotated[bool, typer.Option("--knee", help="The one where the front bends most.")] = False,
    reference: Annotated[
        str | None, typer.Option(help="Measure the hypervolume against a point, such as error=0.9,macs=1e8.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
    storage: Storage = None,
) -> None:
    """Print the Pareto front of a run, with its spread over seeds and how sure it is."""
    from reports.front import FORMATS
    from reports.query import ask
    from reports.terminal import parts
    from search.store.membership import left_out

    if form != "table" and form not in FORMATS:
        raise unknown("format", form, ["table", *FORMATS], path="--format")
    found = ask(
        folder, wanted=objectives, where=where, budget=budget, at_knee=knee, reference=reference, storage=storage
    )
    if found.others:
        typer.echo(left_out(found.others), err=True)
    if form != "table":
        typer.echo(FORMATS[form](found.points, found.nets), nl=False)
    else:
        for part in parts(found.blocks):
            console().print(part, soft_wrap=isinstance(part, str))


@app.command()
def dashboard(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A search's folder.")],
    storage: Storage = None,
) -> None:
    """Write a search as an Optuna storage, and print the command that shows it."""
    from ablations.kinds import read
    from search.exploring.run import SearchRun

    run = read(folder, storage)
    if not isinstance(run, SearchRun):
        raise InputError(f"{folder}: the folder of an ablation; only a search has proposals to show")
    typer.echo(f"optuna-dashboard {run.write_optuna()}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    arm: Annotated[str, typer.Option(metavar="KEY", help="The network's key, its beginning, or the arm's name.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="FILE.py, FILE.safetensors or FILE.onnx.")],
    storage: Storage = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Take away a network of a run, with its weights: as Python, safetensors or ONNX."""
    from ablations.choice import choose
    from search.training.export import export as write

    choice = choose(folder, arm, storage, checkpoints)
    for note in choice.notes:
        typer.echo(note, err=True)
    for path in write(choice.net, to, weights=choice.weights, facts=choice.facts, inputs=choice.inputs):
        typer.echo(path)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR [DIR]", help="A run's folder, or two to compare.")],
    formats: Annotated[str, typer.Option("--format", help="html, md, tex, csv, parquet; several with commas.")] = "md",
    published: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Published results on a data set, behind the front.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Write the report of a run, finished or not, into its folder, and print the paths; of two runs a comparison."""
    wanted = [name.strip() for name in formats.split(",")]
    if len(folders) > 2:
        raise InputError(f"{len(folders)} folders; give one to report on, or two to compare")
    if len(folders) == 2:
        if published is not None:
            raise InputError(f"--published {published}: goes with the report of one run, not of two")
        from reports.two_runs import compare
        from reports.write import write_comparison

        paths = write_comparison(compare(folders[0], folders[1], storage), folders[0] / "report", wanted)
    else:
        from ablations.kinds import read
        from ablations.published import catalogue
        from reports.write import write

        known = [] if published is None else catalogue(published)
        paths = write(read(folders[0], storage), wanted, known)
    for path in paths:
        typer.echo(path)


@app.command()
def doctor(json: Json = False) -> None:
    """Look at this machine: versions, memory, limits, GPU, data, and whether its kernels are right."""
    from search.running.doctor import examine, summary

    findings = []
    for finding in examine():
        findings.append(finding)
        if not json:
            typer.echo(finding.line)
    if json:
        print_json(summary(findings))
    if any(finding.level == "wrong" for finding in findings):
        raise typer.Exit(1)


@app.command()
def repair(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]) -> None:
    """Make a damaged trials.db anew from what can be read of it; the damaged file is kept beside it."""
    from search.files.folder import RunFolder
    from search.files.lock import held
    from search.store.repair import repair as mend

    path = RunFolder.existing(folder).path
    with held(path, "repair"):
        typer.echo("\n".join(mend(path).lines))


def main() -> None:
    """Run the command line; wrong input gets its message and status 2, never a traceback."""
    try:
        app()
    except InputError as error:
        _refuse(str(error))
    except UnicodeEncodeError as error:
        # A folder's or file's name, where it is to become part of a text. With other causes it is a fault of ours.
        try:
            text(error.object)
        except InputError as refused:
            _refuse(str(refused))
        raise
    except OSError as error:
        # A disk that is full, or a folder that may not be written.
        _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _refuse(message: str) -> NoReturn:
    with suppress(OSError):  # nobody hears it, and the status is the same
        for line in plain(message).splitlines():
            typer.echo(f"error: {line}", err=True)
    sys.exit(2)


def _runner(resources: Resources, preflight: Preflight, inline: bool, address: str | None) -> Runner:
    """Ray, or this process."""
    settings: dict[str, Any] = {"resources": resources, "checkpoints": preflight.checkpoints, "preflight": preflight}
    if inline:
        from search.running import inline as here

        return partial(here.run, **settings)
    from search.running import ray_runner

    return partial(ray_runner.run, **settings, address=address)
