"""The front door: `resnet-space VERB`. Results on stdout, progress and errors on stderr; exit status 0, 1 or 2.

Each verb imports what it needs when it is called, so that `--help` needs neither torch nor ray.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resnet_space.errors import InputError, unknown

if TYPE_CHECKING:
    from rich.console import Console

    from ablations.launch import Plan, Run
    from search.resources import Resources
    from search.store import Store
    from search.sweep import Runner

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
Storage = Annotated[str | None, typer.Option(metavar="URL", help="A database in place of the folder's SQLite file.")]


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="presets, studies, datasets, shortcuts, orders, branches or recipes")
    ] = "presets",
) -> None:
    """List what there is."""
    from reports import catalogue

    if what not in catalogue.LISTS:
        raise unknown("list", what, catalogue.LISTS)
    headings, rows = catalogue.LISTS[what]()
    _print_table(headings, rows)


@app.command()
def show(
    net: Annotated[str, typer.Argument(help="A preset's name, or a file with an architecture.")],
    changes: Set = None,
    json: Json = False,
) -> None:
    """Show a network: stages, depth, parameters, MACs, and what was not counted."""
    from resnet_space import inspection

    architecture = inspection.read(net, _changes(changes))
    if json:
        _print_json(inspection.facts(architecture))
    else:
        headings, rows = inspection.stages(architecture)
        _print_table(headings, rows)
        for line in inspection.lines(architecture):
            typer.echo(line)


@app.command()
def schema(what: Annotated[str, typer.Argument(help="architecture, space or study")]) -> None:
    """Print the JSON Schema of a description, for editors."""
    from reports import catalogue

    if what not in catalogue.SCHEMAS:
        raise unknown("description", what, catalogue.SCHEMAS)
    _print_json(catalogue.SCHEMAS[what]())


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
    changes: Set = None,
    inline: Annotated[bool, typer.Option("--inline", help="In this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="A Ray cluster that is there already.")] = None,
    storage: Storage = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed trials again.")] = False,
) -> None:
    """Run a study, or go on where it stopped: the same command again is resume."""
    from ablations import launch
    from ablations.study import load
    from reports.write import write

    given = {"data": {"name": dataset} if dataset else None, "data.root": data_root, "seeds": seeds}
    given |= {"recipe.epochs": epochs, "recipe.steps": None} if epochs is not None else {}
    forced = {path: value for path, value in given.items() if value is not None or path == "recipe.steps"}
    plan = launch.plan(load(study, profile=profile, changes=_changes(changes) | forced), download=download)
    folder = out or Path("runs") / plan.study.name
    with launch.opened(plan, folder, storage=storage, retry_failed=retry_failed) as (run_folder, store):
        _sweep(plan, store, _runner(plan.study.resources, run_folder.checkpoints, inline, address))
    result = launch.read(folder, storage)
    _print_answer(result)
    for path in write(result, ["md"]):
        typer.echo(f"report: {path}")
    if any(arm.ended.get("failed") for arm in result.summaries):
        raise typer.Exit(1)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    storage: Storage = None,
    json: Json = False,
) -> None:
    """How many trials are complete, running, waiting, diverged, failed; with reasons."""
    from ablations.launch import open_store
    from search.folder import RunFolder

    store = open_store(RunFolder.existing(folder), storage)
    counts, reasons = store.counts(), store.reasons()
    store.close()
    if json:
        told = [{"status": status, "reason": reason, "trials": number} for status, reason, number in reasons]
        _print_json({**counts, "reasons": told})
        return
    _print_table(("status", "trials"), [(name, str(count)) for name, count in counts.items()])
    if reasons:
        _print_table(("status", "reason", "trials"), [(name, why, str(count)) for name, why, count in reasons])


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    formats: Annotated[str, typer.Option("--format", help="Formats, separated by commas.")] = "md",
    storage: Storage = None,
) -> None:
    """Write the report of a run, finished or not, into its folder, and print the paths."""
    from ablations.launch import read
    from reports.write import write

    for path in write(read(folder, storage), formats.split(",")):
        typer.echo(path)


def main() -> None:
    """Run the command line; wrong input gets its message and status 2, never a traceback."""
    try:
        app()
    except InputError as error:
        for line in str(error).splitlines():
            typer.echo(f"error: {line}", err=True)
        sys.exit(2)


def _sweep(plan: Plan, store: Store, runner: Runner) -> None:
    """Do what is left, with progress on stderr."""
    from search.progress import Progress
    from search.sweep import sweep, unfinished

    for names in plan.folded:
        typer.echo(f"the same network, trained once: {' = '.join(names)}", err=True)
    total = len(plan.trials)
    left = sum(len(job.trials) for job in unfinished(plan.jobs, store))
    try:
        with Progress(total=total, already=total - left, steps=plan.steps, name=plan.name_of) as progress:
            sweep(plan.jobs, store, runner, progress.tell)
    except KeyboardInterrupt:
        typer.echo("stopped; what is stored stays, and the same command goes on from there", err=True)
        raise typer.Exit(1) from None


def _runner(resources: Resources, checkpoints: Path, inline: bool, address: str | None) -> Runner:
    """Ray, or this process."""
    if inline:
        from search import inline as here

        return partial(here.run, resources=resources, checkpoints=checkpoints)
    from search import ray_runner

    return partial(ray_runner.run, resources=resources, checkpoints=checkpoints, address=address)


def _print_answer(result: Run) -> None:
    from ablations.summary import agreement
    from reports.terminal import footnotes, table

    console = _console()
    study, summaries = result.study, result.summaries
    console.print(table(study.question or study.name, summaries, study.baseline))
    for line in footnotes(summaries, agreement(summaries), study.fail_above):
        console.print(line, soft_wrap=True)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    grid = Table(*headings, box=None, header_style="bold")
    for row in rows:
        grid.add_row(*row)
    _console().print(grid)


def _console() -> Console:
    """stdout; wide where it is no terminal, so that nothing is cut in a pipe."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)


def _print_json(data: Any) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, allow_nan=False))


def _changes(texts: list[str] | None) -> dict[str, Any]:
    from resnet_space.paths import split

    return dict(map(split, texts or []))
