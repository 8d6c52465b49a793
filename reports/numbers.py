"""Numbers as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablations.published import Published

POINTS = 100
"""Differences of errors are fractions; people read them in points, hundredths."""


def percent(mean: float | None, std: float | None) -> str:
    """A fraction as percent: `1.39 ± 0.20`; the spread is left out where there is none to measure."""
    if mean is None:
        return "-"
    return f"{100 * mean:.2f}" + (f" ± {100 * std:.2f}" if std is not None else "")


def published(row: Published | None) -> str:
    """`6.61`, or `fail` where the paper says so, or nothing."""
    if row is None:
        return ""
    return "fail" if row.error is None else f"{100 * row.error:.2f}"


def engineering(number: float) -> str:
    """Three digits and a letter: 1.73M, 255M, 4.11G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def interval(value: float, low: float | None, high: float | None) -> str:
    """`+8.36 [+6.10, +10.62]`, in points."""
    return f"{POINTS * value:+.2f} {span(low, high)}".strip()


def span(low: float | None, high: float | None) -> str:
    """`[+6.10, +10.62]`, in points; nothing where there is no interval."""
    return "" if low is None or high is None else f"[{POINTS * low:+.2f}, {POINTS * high:+.2f}]"


def p_value(p: float | None) -> str:
    """0.034, <0.001; nothing where there is none."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
