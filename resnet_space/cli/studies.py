"""Verbs about studies: what one will take, and running it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from resnet_space import api
from resnet_space.cli.options import Checkpoints, Json, Profile, Set, Storage, given
from resnet_space.cli.printing import console, print_json
from resnet_space.errors import text

Name = Annotated[str, typer.Argument(metavar="STUDY", help="A shipped study's name, or a file.")]
DataSet = Annotated[str | None, typer.Option(help="Another data set.")]
DataRoot = Annotated[str | None, typer.Option(help="The folder of the data set.")]
Seeds = Annotated[int | None, typer.Option(help="Seeds for every arm, or to confirm a search's front with.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs for every trial.")]
Trials = Annotated[int | None, typer.Option(help="Trials that a search may begin.")]


def plan(
    study: Name,
    profile: Profile = None,
    dataset: DataSet = None,
    data_root: DataRoot = None,
    seeds: Seeds = None,
    epochs: Epochs = None,
    trials: Trials = None,
    changes: Set = None,
    json: Json = False,
) -> None:
    """Say what a study will take before it trains: trials, networks, costs, time, memory, what does not fit."""
    from reports.outlook import blocks
    from reports.terminal import parts

    changed = given(changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials)
    planned = api.plan(api.study(study, profile=profile, changes=changed))
    found = api.outlook(planned)
    if json:
        print_json(found.as_json(planned.study.resources.gpus, planned.study.resources.cpus))
    else:
        for part in parts(blocks(found)):
            console().print(part, soft_wrap=isinstance(part, str))


def run(
    study: Name,
    out: Annotated[Path | None, typer.Option(help="The run's folder. Default: runs/STUDY.")] = None,
    profile: Profile = None,
    dataset: DataSet = None,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Download the data set if it is not there.")] = False,
    seeds: Seeds = None,
    epochs: Epochs = None,
    trials: Trials = None,
    changes: Set = None,
    inline: Annotated[bool, typer.Option("--inline", help="Train in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(callback=text, help="A Ray cluster that is running.")] = None,
    storage: Storage = None,
    checkpoints: Checkpoints = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed trials again.")] = False,
) -> None:
    """Run a study, or continue it where it stopped: the same command again resumes it."""
    from search.running.signals import Stop

    changed = given(changes, dataset=dataset, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials)
    stop = Stop()
    try:
        # From here on: what is imported next takes seconds.
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
                stop=stop,
                say=partial(typer.echo, err=True),
            )
            for part in render(api.document(result)):
                console().print(part, soft_wrap=isinstance(part, str))
            for path in api.report(result, ["md", "html"]):
                typer.echo(f"report: {path}")
            if traceback := api.first_traceback(result):
                typer.echo(f"first traceback: {traceback}", err=True)
    except KeyboardInterrupt:
        typer.echo(f"stopped by {stop.name}; what is stored stays, and the same command goes on from there", err=True)
        raise typer.Exit(stop.status) from None
    if result.failed:
        raise typer.Exit(1)
