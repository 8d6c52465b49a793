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
    """Return the published error in percent, with what it is, since papers print means, medians and bests side by side.

    `6.61 ± 0.16 (mean of 5)`, `6.43 (best of 5; mean 6.61 ± 0.16)`, `8.75 (1 run)`; without words if the paper does not
    say what it is. `fail` if the paper reports a failure; empty if None.
    """
    if row is None:
        return ""
    if row.error is None:
        return "fail"
    words = [word for word in (statistic(row),) if word]
    if row.mean is not None:
        words.append(f"mean {percent(row.mean, row.spread)}")
    own = percent(row.error, row.spread if row.mean is None else None)
    return f"{own} ({'; '.join(words)})" if words else own


def published_number(row: Published | None) -> str:
    """Return the published error in percent alone, such as `6.61`; `fail` or empty as `published`."""
    if row is None:
        return ""
    return "fail" if row.error is None else percent(row.error, None)


def statistic(row: Published) -> str:
    """Return what a published error is over the runs, such as `median of 5`; empty if the paper does not say."""
    if row.statistic == "single":
        return "1 run"
    return f"{row.statistic} of {row.runs}" if row.runs else row.statistic


def published_mean(row: Published) -> str:
    """Return the published mean and standard deviation in percent, `6.61 ± 0.16`; empty if one of them is missing."""
    mean = row.error if row.statistic == "mean" else row.mean
    return percent(mean, row.spread) if mean is not None and row.spread is not None else ""


def engineering(number: float) -> str:
    """Return three significant digits and a unit prefix, such as 1.73M, 255M, 4.11G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,999 is 1M, and not 1e+03k.
        if float(f"{number:.3g}") >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def interval(value: float, low: float | None, high: float | None) -> str:
    """Return a difference with its interval in percentage points, such as `+8.36 [+6.10, +10.62]`."""
    return f"{POINTS * value:+z.2f} {span(low, high)}".strip()


def span(low: float | None, high: float | None) -> str:
    """Return an interval in percentage points, such as `[+6.10, +10.62]`; empty if it has no ends."""
    return "" if low is None or high is None else f"[{POINTS * low:+z.2f}, {POINTS * high:+z.2f}]"


def p_value(p: float | None) -> str:
    """Return a p-value, such as 0.034 or <0.001; empty if None."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
