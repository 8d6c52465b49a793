"""A small language for constraints and filters: `macs < 1e8 and depth >= 20 and order in [original, "..."]`.

Comparisons (`< <= > >= == !=`, `in [a, b]`, `not in`), `and`, `or`, `not`, parentheses, `+ - * /`, numbers,
names with dots (`stages.0.units`), and words, in quotes or bare: beside a name, what is no name is a word.
Nothing is ever run but the table `OPERATORS`.

A name without a value (a field that the chosen kind does not have, a result that is not there yet) makes its
comparison neither true nor false, as NULL does in SQL: a filter takes what is true, a constraint refuses what
is false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

from resnet_space.fields import Lookup
from resnet_space.parsing import COMPARISONS, Names, Node, Parser


def _of_numbers(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator on two numbers; missing on anything else, and where the numbers run out."""

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
    "<": _of_numbers(operator.lt),
    "<=": _of_numbers(operator.le),
    ">": _of_numbers(operator.gt),
    ">=": _of_numbers(operator.ge),
    "+": _of_numbers(operator.add),
    "-": _of_numbers(operator.sub),
    "*": _of_numbers(operator.mul),
    "/": _of_numbers(operator.truediv),
}


GAPS = ("<", "<=", ">", ">=", "==")
"""Comparisons that a difference of two numbers is the distance of."""
CLOSE = 1e-9
"""The least violation: what separates `<` from `<=`."""


class Expression:
    """A parsed condition over named values; `names` are those that it uses.

    >>> Expression("depth >= 20 and shortcut == identity", {"depth": (), "shortcut": ()}).names
    ('depth', 'shortcut')

    Raises:
        InputError: the text, the column, and what was expected there, or the nearest known name.
    """

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self._root = Parser(text, names).parse()
        self.names = tuple(dict.fromkeys(node.leaf for node in self._root.walk() if node.operator == "name"))

    def evaluate(self, lookup: Lookup) -> bool:
        """Whether the condition is true; a comparison with something that is missing is not."""
        return _value(self._root, lookup) is True

    def refuted(self, lookup: Lookup) -> bool:
        """Whether the condition is false; a comparison with something that is missing is not that either."""
        return _value(self._root, lookup) is False

    def violation(self, lookup: Lookup) -> float:
        """How far the condition is from being true: 0 where it is not refuted, above 0 where it is.

        For `a <= b` the gap `a - b` over |b| (over 1 where b is 0), never less than `CLOSE`: just over a budget is
        over it. `and` adds up, `or` takes the least, and what has no distance (words, `not`, `in`) counts 1.
        """
        return _violation(self._root, lookup)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _value(node: Node, lookup: Lookup) -> Any:
    """A number, a word, a truth, or None for missing."""
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
    if node.operator not in GAPS or not all(isinstance(side, Real) and not isinstance(side, bool) for side in sides):
        return 1.0
    return max(float(abs(sides[0] - sides[1]) / (abs(sides[1]) or 1.0)), CLOSE)


def _looked_up(name: str, lookup: Lookup) -> Any:
    try:
        value = lookup(name)
    except LookupError:
        return None
    return None if isinstance(value, Real) and value != value else value
