"""A recipe in words, with all of its fields: what a reader needs to train the networks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.trials.recipe import Recipe

WORDS = {
    "lr": "learning rate",
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
    """Return each field of a recipe with its value, such as `("schedule", "one cycle (rise 0.3, start 25)")`."""
    fields = recipe.model_dump(mode="json")
    length = next(f"{fields[name]} {name}" for name in LENGTHS if fields.get(name) is not None)
    rest = [(_name(name), _value(value)) for name, value in fields.items() if name not in LENGTHS]
    return [("length", length), *rest]


def _name(field: str) -> str:
    return WORDS.get(field, field.replace("_", " "))


def _value(value: Any) -> str:
    """Return a value as text: a kind with its fields in parentheses, `yes` and `no`, and numbers without noise.

    >>> _value({"kind": "one_cycle", "rise": 0.3, "end": 250000.0}), _value(True), _value(None)
    ('one cycle (rise 0.3, end 250000)', 'yes', 'none')
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.10g}"
        case Mapping():
            own = ", ".join(f"{_name(name)} {_value(each)}" for name, each in value.items() if name != "kind")
            kind = str(value.get("kind", "")).replace("_", " ")
            return f"{kind} ({own})" if kind and own else kind or own
        case Sequence() if not isinstance(value, str):
            return " and ".join(map(_value, value)) or "none"
    return str(value)
