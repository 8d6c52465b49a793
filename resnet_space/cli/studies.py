"""Verbs on studies: plan and run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from resnet_space import api
from resnet_space.cli.options import Checkpoints, Json, Profile, Set, Storage, changes_from_options
from resnet_space.cli.printing import print_json, print_parts
from resnet_space.errors import check_utf8

Name = Annotated[str, typer.Argument(metavar="STUDY", help="The name of a shipped study, or a file.")]
DataSet = Annotated[
    str | None, typer.Option(help="Use this data set, or several separated by commas, instead of the study's.")
]
DataRoot = Annotated[str | None, typer.Option(help="The folder of the data sets.")]
Seeds = Annotated[int | None, typer.Option(help="Seeds per arm, or seeds that confirm the front of a search.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs per trial.")]
Trials = Annotated[int | None, typer.Option(help="The maximum number of trials of a search.")]


def plan(
    study: Name,
    profile: Profile = None,
    dataset: DataSet = None,
    data_root: DataRoot = None,
    seeds: Seeds = None,
    epochs: Epochs = None,
    trials: Trials = None,
    changes: Set = None,
    detect: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Show the seeds and the cost of resolving this difference.")
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Expect the errors and spreads of this run on the same data."),
    ] = None,
    register: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan to a new file, as a pre-registration.")
    ] = None,
    json: Json = False,
) -> None:
    """Forecast a study before training: trials, networks, costs, time, memory, what does not fit, and power."""
    from reports.outlook import blocks
    from reports.terminal import parts

    changed = changes_from_options(
        changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials
    )
    planned = api.plan(api.study(study, profile=profile, changes=changed), unread=True)
    found = api.outlook(planned, detect=detect, pilot=pilot)
    if register is not None:
        api.register(planned, found, register)
        typer.echo(f"registered: {register}", err=True)
    if json:
        print_json(found.as_json(planned.study.resources.gpus, planned.study.resources.cpus))
    else:
        print_parts(parts(blocks(found)))


def images(
    study: Name,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file to write: FILE.png, FILE.svg or FILE.pdf.")],
    profile: Profile = None,
    dataset: DataSet = None,
    data_root: DataRoot = None,
    epochs: Annotated[int, typer.Option(min=1, max=50, help="Epochs to draw, a row each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the trial.")] = 0,
    changes: Set = None,
) -> None:
    """Draw some training images as they are, and as a trial sees them in its epochs: augmented."""
    from resnet_space.api.pictures import draw_training_images

    changed = changes_from_options(changes, dataset=dataset, data_root=data_root, seeds=None, epochs=None, trials=None)
    chosen = api.study(study, profile=profile, changes=changed)
    typer.echo(draw_training_images(chosen, to, epochs=epochs, seed=seed))


def run(
    study: Name,
    out: Annotated[Path | None, typer.Option(help="The run's folder. Default: runs/STUDY.")] = None,
    profile: Profile = None,
    dataset: DataSet = None,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Download the data set if it is missing.")] = False,
    seeds: Seeds = None,
    epochs: Epochs = None,
    trials: Trials = None,
    changes: Set = None,
    inline: Annotated[bool, typer.Option("--inline", help="Train in this process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option(callback=check_utf8, help="The address of a running Ray cluster.")
    ] = None,
    storage: Storage = None,
    checkpoints: Checkpoints = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Retry failed trials.")] = False,
    registered: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file of plan --register: the report says what differs.")
    ] = None,
) -> None:
    """Run a study. The same command resumes it if it was stopped."""
    from search.running.signals import Stop

    changed = changes_from_options(
        changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials
    )
    stop = Stop()
    try:
        # Listen before the imports below, which take seconds.
        with stop.listening():
            from reports.terminal import render

            result = api.run(
                api.study(study, profile=profile, changes=changed),
                out,
                download=download,
                inline=inline,
                address=address,
                storage=storage,
                checkpoints=checkpoints,
                retry_failed=retry_failed,
                registered=registered,
                stop=stop,
                say=partial(typer.echo, err=True),
            )
            print_parts(render(api.document(result)))
            for path in api.report(result, ["md", "html"]):
                typer.echo(f"report: {path}")
            if traceback := api.first_traceback(result):
                typer.echo(f"first traceback: {traceback}", err=True)
    except KeyboardInterrupt:
        typer.echo(f"stopped by {stop.name}; stored results are kept; run the same command again to resume", err=True)
        raise typer.Exit(stop.status) from None
    if result.failed:
        raise typer.Exit(1)
