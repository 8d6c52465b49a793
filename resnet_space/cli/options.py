"""Options shared by several verbs, and the changes of a study or a network that they stand for, by path."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_space.errors import check_utf8

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a field by its path; can be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Profile = Annotated[str | None, typer.Option(help="A profile of the study, such as laptop or paper.")]
Url = partial(typer.Option, metavar="URL", callback=check_utf8)
Storage = Annotated[str | None, Url(help="Use this database instead of the folder's SQLite file.")]
Checkpoints = Annotated[
    str | None, Url(help="Use this bucket instead of the folder's checkpoints/, such as s3://BUCKET/PREFIX.")
]
Dataset = Annotated[
    str | None, typer.Option(metavar="LABEL", help="The data set, if the run has several; by its label in the report.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]


def changes_from_options(
    changes: list[str] | None,
    *,
    dataset: str | None,
    data_root: str | None,
    seeds: int | None,
    epochs: int | None,
    trials: int | None,
) -> dict[str, Any]:
    """Return the changes of a study that the options make, by path; they override `--set`.

    Raises:
        InputError: a `--set` is not PATH=VALUE.
    """
    from resnet_space.api.studies import changes_of

    names = None if dataset is None else [name.strip() for name in dataset.split(",")]
    return parse_changes(changes) | changes_of(
        dataset=names, data_root=data_root, seeds=seeds, epochs=epochs, trials=trials
    )


def parse_changes(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of all `--set PATH=VALUE` by path.

    Raises:
        InputError: one of them is not PATH=VALUE.
    """
    from resnet_space.paths import split

    return dict(map(split, texts or []))
