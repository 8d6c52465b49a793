"""Verbs on a run's folder: status, front, dashboard, export, report, repair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_space import api
from resnet_space.cli.options import Checkpoints, Dataset, Folder, Json, Storage
from resnet_space.cli.printing import print_json, print_parts, print_table
from resnet_space.errors import InputError, unknown


def status(folder: Folder, storage: Storage = None, json: Json = False) -> None:
    """Print the number of trials by status, the reasons of failures, and the path of the first traceback."""
    from search.store.membership import foreign_note

    found = api.status(folder, storage)
    presence, traceback = found.presence, found.traceback
    if json:
        extra = {"traceback": str(traceback) if traceback else None, "left_out": found.left_out}
        by_data_set = {"datasets": found.by_data_set} if found.by_data_set else {}
        print_json(presence.as_json() | extra | by_data_set)
        return
    print_table(("status", "trials"), [(name, str(count)) for name, count in presence.counts.items()])
    if found.by_data_set:
        statuses = [name for name, count in presence.counts.items() if count]
        rows = [(label, *(str(own[name]) for name in statuses)) for label, own in found.by_data_set.items()]
        print_table(("data set", *statuses), rows)
    if reasons := presence.standing.reasons:
        print_table(("status", "reason", "trials"), [(name, why, str(count)) for name, why, count in reasons])
    if found.left_out:
        typer.echo(foreign_note(found.left_out))
    for line in presence.lines:
        typer.echo(line)
    if traceback:
        typer.echo(f"first traceback: {traceback}")


def front(
    folder: Folder,
    objectives: Annotated[str | None, typer.Option(help="Objectives to minimise, such as error,macs.")] = None,
    where: Annotated[
        str | None, typer.Option(help='Use only networks that match, such as "macs < 1e8 and depth >= 20".')
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help='Print only the network of lowest error in a budget, such as "macs <= 5e7".')
    ] = None,
    knee: Annotated[bool, typer.Option("--knee", help="Print only the knee: where the front bends most.")] = False,
    reference: Annotated[
        str | None, typer.Option(help="The reference point of the hypervolume, such as error=0.9,macs=1e8.")
    ] = None,
    dataset: Dataset = None,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
    storage: Storage = None,
) -> None:
    """Print the Pareto front of a run, with the spread over seeds and the uncertainty of the front."""
    from reports.front import FORMATS
    from reports.terminal import parts
    from search.store.membership import foreign_note

    if form != "table" and form not in FORMATS:
        raise unknown("format", form, ["table", *FORMATS], path="--format")
    found = api.front(
        folder,
        objectives=objectives,
        where=where,
        budget=budget,
        knee=knee,
        reference=reference,
        dataset=dataset,
        storage=storage,
    )
    if found.others:
        typer.echo(foreign_note(found.others), err=True)
    if form != "table":
        typer.echo(FORMATS[form](found.points, found.nets, found.recipes), nl=False)
    else:
        print_parts(parts(found.blocks))


def dashboard(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a search.")], storage: Storage = None
) -> None:
    """Write a search as an Optuna storage, and print the command that opens it in optuna-dashboard."""
    typer.echo(f"optuna-dashboard {api.as_optuna(folder, storage)}")


def export(
    folder: Folder,
    arm: Annotated[str, typer.Option(metavar="KEY", help="The network's key, its first characters, or an arm's name.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FILE|DIR/",
            help="FILE.py, FILE.safetensors, FILE.onnx or FILE.pt2; or DIR/, a folder in the layout of Hugging Face.",
        ),
    ],
    seed: Annotated[
        int | None, typer.Option(min=0, help="The trial's seed. Default: the seed of the median validation error.")
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="All seeds as one network: the mean of their probabilities.")
    ] = False,
    preprocessing: Annotated[
        bool | None,
        typer.Option(
            "--with-preprocessing/--without-preprocessing",
            help="Whether the network takes raw pixels and normalises them itself. Default: only in .onnx.",
        ),
    ] = None,
    library: Annotated[
        str | None,
        typer.Option("--state-dict", metavar="timm|torchvision", help="Name the weights as this library does."),
    ] = None,
    dataset: Dataset = None,
    storage: Storage = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Write a trained network of a run to a file or folder that works alone."""
    found = api.export(
        folder,
        arm,
        to,
        seed=seed,
        ensemble=ensemble,
        preprocessing=preprocessing,
        library=library,
        dataset=dataset,
        storage=storage,
        checkpoints=checkpoints,
    )
    for note in found.notes:
        typer.echo(note, err=True)
    for path in found.paths:
        typer.echo(path)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="A run's folder, or several to compare.")],
    formats: Annotated[
        str, typer.Option("--format", help="html, md, pdf, tex, typ, csv or parquet; separate several by commas.")
    ] = "md",
    published: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Also draw the published results on this data set.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write each figure alone, for one and two columns: svg, pdf and png."),
    ] = None,
    dataset: Dataset = None,
    storage: Storage = None,
) -> None:
    """Write the report of a run, or the comparison of runs with the first, into the (first) folder; print the paths.

    The runs need not be finished.
    """
    wanted = [name.strip() for name in formats.split(",")]
    if len(folders) > 1:
        if published is not None:
            raise InputError(f"--published {published}: can only be used with one run, not with {len(folders)}")
        paths = api.report(api.compare_all(folders, dataset=dataset, storage=storage), wanted, figures=figures)
    else:
        if dataset is not None:
            raise InputError(
                f"--dataset {dataset}: can only be used with several runs; a report has all data sets of a run"
            )
        known = [] if published is None else api.published(published)
        paths = api.report(api.open_run(folders[0], storage), wanted, published=known, figures=figures)
    for path in paths:
        typer.echo(path)


def repair(folder: Folder) -> None:
    """Rebuild a damaged trials.db from its readable parts; the damaged file is kept."""
    for line in api.repair(folder):
        typer.echo(line)
