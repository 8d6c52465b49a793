"""What the options of a command change in a study or a network, as values by path."""

from __future__ import annotations

from typing import Any


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
