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
    values: dict[str, Any] = {
        "data": None if dataset is None else _datasets(dataset),
        "data.root": data_root,
        "seeds": seeds,
        "recipe.epochs": epochs,
        "budget.trials": trials,
    }
    forced = {path: value for path, value in values.items() if value is not None}
    # A recipe has either epochs or steps: setting one removes the other.
    return parse_changes(changes) | forced | ({"recipe.steps": None} if epochs is not None else {})


def _datasets(text: str) -> Any:
    """Return the `data` of a study from names separated by commas."""
    names = [{"name": name.strip()} for name in text.split(",")]
    return names if len(names) > 1 else names[0]


def parse_changes(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of all `--set PATH=VALUE` by path.

    Raises:
        InputError: one of them is not PATH=VALUE.
    """
    from resnet_space.paths import split

    return dict(map(split, texts or []))
