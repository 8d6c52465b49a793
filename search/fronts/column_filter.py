"""Evaluate an expression on complete columns: the rows for which it is certainly true, and certainly false."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resnet_space.parsing import Node

Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.float64]
Column: TypeAlias = NDArray[np.float64] | NDArray[np.int64] | Flags

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def evaluate_columns(node: Node, columns: Mapping[str, Column], rows: int) -> tuple[Flags, Flags]:
    """Return (true, false), each of shape (rows,): where the expression is certainly true, and certainly false.

    A row is in neither if its value depends on anything but numbers in these columns; `Expression.evaluate` then
    decides row by row. `and`, `or` and `not` follow Kleene's logic, as they do there: "false and unknown" is false.
    """
    if node.operator == "not":
        true, false = evaluate_columns(node.parts[0], columns, rows)
        return false, true
    if node.operator in ("and", "or"):
        truths, falsehoods = zip(*(evaluate_columns(part, columns, rows) for part in node.parts), strict=True)
        if node.operator == "and":
            return np.logical_and.reduce(truths), np.logical_or.reduce(falsehoods)
        return np.logical_or.reduce(truths), np.logical_and.reduce(falsehoods)
    # Booleans can be compared for equality only; they are not numbers.
    switches = node.operator in ("==", "!=")
    left, right = (_numbers(part, columns, rows, switches) for part in node.parts)
    known = ~np.isnan(left) & ~np.isnan(right)
    holds = COMPARISONS[node.operator](left, right)
    return known & holds, known & ~holds


def _numbers(node: Node, columns: Mapping[str, Column], rows: int, switches: bool) -> Numbers:
    """Return the value of each row, shape (rows,); NaN if it is not certain."""
    unknown = np.full(rows, np.nan)
    if node.operator == "name":
        column = columns.get(node.leaf, unknown)
        return column.astype(float) if switches or column.dtype != bool else unknown
    if node.operator == "value":
        number = isinstance(node.leaf, int | float) and (switches or not isinstance(node.leaf, bool))
        return np.full(rows, float(node.leaf)) if number else unknown
    left, right = (_numbers(part, columns, rows, False) for part in node.parts)
    with np.errstate(all="ignore"):
        result = ARITHMETIC[node.operator](left, right)
    return np.where(np.isfinite(result), result, np.nan)
