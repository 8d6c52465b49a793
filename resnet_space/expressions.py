"""A small language for constraints and filters: `macs < 1e8 and depth >= 20 and order in [original, "..."]`.

Comparisons (`< <= > >= == !=`, `in [a, b]`, `not in`), `and`, `or`, `not`, parentheses, `+ - * /`, numbers,
names with dots (`stages.0.units`), and words, with or without quotes: an unknown name that is compared with a known one
is a word. Expressions run no code except the functions of the table `OPERATORS`.

A name can have no value: a field that the chosen kind does not have, or a result that does not exist yet. A comparison
with it is neither true nor false, like NULL in SQL. A filter accepts what is true; a constraint refuses what is false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

from resnet_space.fields import Lookup
from resnet_space.parsing import COMPARISONS, Names, Node, Parser


def _on_numbers(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator on two numbers; None for anything else, and on overflow or division by zero."""

    def applied(one: Any, other: Any) -> Any:
        if any(isinstance(side, bool) or not isinstance(side, Real) for side in (one, other)):
            return None
        try:
            return apply(one, other)
        except ArithmeticError:
            return None

    return applied


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": _on_numbers(operator.lt),
    "<=": _on_numbers(operator.le),
    ">": _on_numbers(operator.gt),
    ">=": _on_numbers(operator.ge),
    "+": _on_numbers(operator.add),
    "-": _on_numbers(operator.sub),
    "*": _on_numbers(operator.mul),
    "/": _on_numbers(operator.truediv),
}


DISTANCE_OPERATORS = ("<", "<=", ">", ">=", "==")
"""Comparisons whose violation is measured by the difference of the two numbers."""
MIN_VIOLATION = 1e-9
"""The smallest violation, for `a < b` with a = b."""


class Expression:
    """A parsed condition over named values; `names` are the names that it uses.

    >>> Expression("depth >= 20 and shortcut == identity", {"depth": (), "shortcut": ()}).names
    ('depth', 'shortcut')

    Raises:
        InputError: a wrong expression; the message has text, column, and what is expected there or the nearest name.
    """

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self.root = Parser(text, names).parse()
        """The parsed condition."""
        self.names = tuple(dict.fromkeys(node.leaf for node in self.root.walk() if node.operator == "name"))

    def evaluate(self, lookup: Lookup) -> bool:
        """Whether the condition is true; a comparison with a missing value is not true."""
        return _value(self.root, lookup) is True

    def refuted(self, lookup: Lookup) -> bool:
        """Whether the condition is false; a comparison with a missing value is not false."""
        return _value(self.root, lookup) is False

    def violation(self, lookup: Lookup) -> float:
        """Return how far the condition is from being true: above 0 if it is false, else 0.

        For `a <= b` it is (a - b) / |b| (a - b if b is 0), but at least `MIN_VIOLATION`. `and` adds violations, `or`
        takes the smallest, and conditions without a distance (words, `not`, `in`) have 1.
        """
        return _violation(self.root, lookup)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _value(node: Node, lookup: Lookup) -> Any:
    """A number, a word, true or false; None if the value is missing."""
    if node.operator == "value":
        return node.leaf
    if node.operator == "name":
        return _looked_up(node.leaf, lookup)
    values = []
    for part in node.parts:
        values.append(_value(part, lookup))
        if node.operator in ("and", "or") and values[-1] is (node.operator == "or"):
            return values[-1]
    if any(value is None for value in values):
        return None
    if node.operator in ("and", "or"):
        return node.operator == "and"
    result = not values[0] if node.operator == "not" else OPERATORS[node.operator](*values)
    return bool(result) if node.operator in COMPARISONS and result is not None else result


def _violation(node: Node, lookup: Lookup) -> float:
    if _value(node, lookup) is not False:
        return 0.0
    if node.operator in ("and", "or"):
        parts = [_violation(part, lookup) for part in node.parts]
        return sum(parts) if node.operator == "and" else min(parts)
    sides = [_value(part, lookup) for part in node.parts]
    numbers = all(isinstance(side, Real) and not isinstance(side, bool) for side in sides)
    if node.operator not in DISTANCE_OPERATORS or not numbers:
        return 1.0
    return max(float(abs(sides[0] - sides[1]) / (abs(sides[1]) or 1.0)), MIN_VIOLATION)


def _looked_up(name: str, lookup: Lookup) -> Any:
    try:
        value = lookup(name)
    except LookupError:
        return None
    return None if isinstance(value, Real) and value != value else value
