"""Options that several verbs have, and what they change in a study or a network: values by path."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_space.errors import text

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set a field by path; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Profile = Annotated[str | None, typer.Option(help="A form of the study, such as laptop or paper.")]
Url = partial(typer.Option, metavar="URL", callback=text)
Storage = Annotated[str | None, Url(help="A database in place of the folder's SQLite file.")]
Checkpoints = Annotated[
    str | None, Url(help="A bucket in place of the folder's checkpoints/, such as s3://BUCKET/PREFIX.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]


def given(
    changes: list[str] | None,
    *,
    dataset: str | None,
    data_root: str | None,
    seeds: int | None,
    epochs: int | None,
    trials: int | None,
) -> dict[str, Any]:
    """What the options change in a study, by path; they win over `--set`.

    Raises:
        InputError: `--set` is not of its form.
    """
    values: dict[str, Any] = {
        "data": {"name": dataset} if dataset is not None else None,
        "data.root": data_root,
        "seeds": seeds,
        "recipe.epochs": epochs,
        "budget.trials": trials,
    }
    forced = {path: value for path, value in values.items() if value is not None}
    # One length replaces the other.
    return as_paths(changes) | forced | ({"recipe.steps": None} if epochs is not None else {})


def as_paths(texts: list[str] | None) -> dict[str, Any]:
    """`--set PATH=VALUE`, several times, as values by path.

    Raises:
        InputError: one of them is not of that form.
    """
    from resnet_space.paths import split

    return dict(map(split, texts or []))
