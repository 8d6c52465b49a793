"""A recipe in words, with all of its fields: what a reader needs to train the networks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resnet_space.description import Description
from search.trials.recipe import Recipe

WORDS = {
    "optimizer": "optimiser",
    "lr": "learning rate",
    "decay_norms_and_biases": "weight decay of norms and biases",
    "clip_norm": "gradient norm clipped to",
    "nesterov": "Nesterov momentum",
    "autocast": "mixed precision",
    "compile": "torch.compile",
    "warm_up": "warm-up",
    "until_error": "until a training error of",
}
"""Names of fields in words, where they are not the name itself with spaces."""
LENGTHS = ("epochs", "steps")
"""Fields of which exactly one is given."""


def in_words(recipe: Recipe) -> list[tuple[str, str]]:
    """Return each field of a recipe with its value, such as `("schedule", "one cycle (rise 0.3, start 25)")`.

    Fields that are not stored because they have their default are there too, but not those of another optimiser.
    """
    stored = recipe.model_dump(mode="json")
    length = next(f"{stored[name]} {name}" for name in LENGTHS if stored.get(name) is not None)
    shown = [
        name
        for name, field in type(recipe).model_fields.items()
        if name not in LENGTHS and (name in stored or field.exclude_if is not None)
    ]
    return [("length", length), *((_name(name), value(_plain(getattr(recipe, name)))) for name in shown)]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, Description) else value


def _name(field: str) -> str:
    return WORDS.get(field, field.replace("_", " "))


def value(given: Any) -> str:
    """Return a value as text: a kind with its fields in parentheses, `yes` and `no`, and numbers without noise.

    >>> value({"kind": "one_cycle", "rise": 0.3, "end": 250000.0}), value(True), value(None)
    ('one cycle (rise 0.3, end 250000)', 'yes', 'none')
    """
    match given:
        case None:
            return "none"
        case bool():
            return "yes" if given else "no"
        case float():
            return f"{given:.10g}"
        case Mapping():
            own = ", ".join(f"{_name(name)} {value(each)}" for name, each in given.items() if name != "kind")
            kind = str(given.get("kind", "")).replace("_", " ")
            return f"{kind} ({own})" if kind and own else kind or own
        case Sequence() if not isinstance(given, str):
            return " and ".join(map(value, given)) or "none"
    return str(given)
