"""Numbers formatted for readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablations.published import Published

POINTS = 100
"""Differences of errors are stored as fractions and shown in percentage points."""


def percent(mean: float | None, std: float | None) -> str:
    """Return a fraction as percent, such as `1.39 ± 0.20`; without a spread if `std` is None."""
    if mean is None:
        return "-"
    return f"{100 * mean:.2f}" + (f" ± {100 * std:.2f}" if std is not None else "")


def published(row: Published | None) -> str:
    """Return the published error in percent, such as `6.61`; `fail` if the paper reports a failure; empty if None."""
    if row is None:
        return ""
    return "fail" if row.error is None else f"{100 * row.error:.2f}"


def engineering(number: float) -> str:
    """Return three significant digits and a unit prefix, such as 1.73M, 255M, 4.11G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def interval(value: float, low: float | None, high: float | None) -> str:
    """Return a difference with its interval in percentage points, such as `+8.36 [+6.10, +10.62]`."""
    return f"{POINTS * value:+.2f} {span(low, high)}".strip()


def span(low: float | None, high: float | None) -> str:
    """Return an interval in percentage points, such as `[+6.10, +10.62]`; empty if it has no ends."""
    return "" if low is None or high is None else f"[{POINTS * low:+.2f}, {POINTS * high:+.2f}]"


def p_value(p: float | None) -> str:
    """Return a p-value, such as 0.034 or <0.001; empty if None."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
