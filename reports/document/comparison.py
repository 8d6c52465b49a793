"""The document of a comparison of two runs: one function per section."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ablations.findings import POINTS
from ablations.two_runs import MACS_TOLERANCE, TwoRuns
from reports.figures import distributions
from reports.figures.distributions import Distribution
from reports.names import quoted
from reports.numbers import engineering, interval, p_value, percent, span
from reports.page import Grid, Page, Picture, Section, texts
from search.store.membership import foreign_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = (
    "network",
    "MACs",
    "first, %",
    "second, %",
    "difference, points",
    "on images like these, points",
    "pairs",
)
NOTES = (
    "difference: the second run minus the first, with the 95 % interval over pairs of seeds, for these test images; on "
    "images like these: the interval over seeds and images, if both runs stored their predictions of the same images.",
)
CHANGED = ("field", "first", "second")
LONGEST_VALUE = 100
"""The most characters of a value in the table of differences; the files of the studies have all."""


def document(both: TwoRuns) -> Page:
    """Return the page that compares the second run with the first. To add a section, list it in `sections`."""
    sections = (networks_in_common, changed_fields, errors_at_equal_complexity)
    return Page(
        title=f"{quoted(both.second.name)} compared with {quoted(both.first.name)}",
        question=f"Does {quoted(both.second.name)} have lower errors than {quoted(both.first.name)}?",
        answer=answer(both),
        state=" ".join(
            [f"{len(both.first.trials)} and {len(both.second.trials)} complete trials.", *trials_foreign_note(both)]
        ),
        sections=[made for section in sections if (made := section(both))],
    )


def answer(both: TwoRuns) -> str:
    """Return the result of the comparison in two sentences."""
    return f"{of_networks_in_common(both)} {_at_equal_complexity(both)}"


def of_networks_in_common(both: TwoRuns) -> str:
    """Return the mean difference over the networks that both runs have, with its interval."""
    seen = both.overall
    if not both.common or seen.delta is None:
        return f"{quoted(both.second.name)} and {quoted(both.first.name)} have no network in common."
    span = ""
    if seen.low is not None and seen.high is not None:
        span = f" (95 % interval {POINTS * seen.low:+z.2f} to {POINTS * seen.high:+z.2f})"
    return (
        f"Over the {len(both.common)} networks in both runs, {quoted(both.second.name)} differs from "
        f"{quoted(both.first.name)} by {POINTS * seen.delta:+z.2f} points{span}."
    )


def _at_equal_complexity(both: TwoRuns) -> str:
    same = both.at_equal_complexity
    if same.p is None:
        return "There are too few networks of equal complexity to compare distributions."
    verdict = "differ" if same.p <= 0.05 else "are not shown to differ"
    return (
        f"At equal MACs (within {MACS_TOLERANCE:.0%}) the distributions of errors over {len(same.first)} networks each "
        f"{verdict}: D = {same.statistic:.2f}, p = {p_value(same.p)} (Kolmogorov-Smirnov)."
    )


def trials_foreign_note(both: TwoRuns) -> list[str]:
    """Return one line per run with stored trials that are not counted."""
    lines = [(side.name, foreign_note(side.others)) for side in (both.first, both.second)]
    return [f"{name}: {line}." for name, line in lines if line]


def networks_in_common(both: TwoRuns) -> Section | None:
    if not both.common:
        return None
    first, second = (side.networks.loc[both.common] for side in (both.first, both.second))
    columns = (first["macs"].tolist(), first["error"].tolist(), second["error"].tolist())
    rows = []
    for network, macs, before, now in zip(both.common, *columns, strict=True):
        seen, images = both.difference(network), both.image_interval(network)
        points = "" if seen.delta is None else interval(seen.delta, seen.low, seen.high)
        like_these = "" if images is None else span(images.low_images, images.high_images)
        errors = (percent(before, None), percent(now, None))
        rows.append((both.named(network), engineering(macs), *errors, points, like_these, f"{seen.n}"))
    table = Grid("Test errors", HEADINGS, HEADINGS[1:], texts(rows), notes=NOTES).without_empty_columns()
    return Section("Networks in common", [table])


def changed_fields(both: TwoRuns) -> Section | None:
    rows = [(path, shown(before), shown(now)) for path, before, now in both.changed]
    return Section("Differences between the studies", [Grid("Fields", CHANGED, (), texts(rows))]) if rows else None


def shown(value: Any) -> str:
    """Return a value of a study for a cell of a table, without the end of a long list."""
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def errors_at_equal_complexity(both: TwoRuns) -> Section | None:
    if not both.at_equal_complexity.first:
        return None
    caption = (
        "Cumulative distribution of test errors at equal complexity: the share of networks with at most this error, "
        "with 95 % bands (Dvoretzky, Kiefer and Wolfowitz)."
    )
    stem = f"compare-{both.second.name}-errors"
    picture = Picture(stem, partial(_draw_distributions, both), caption, answer(both))
    return Section("Errors at equal complexity", [picture])


def _draw_distributions(both: TwoRuns, width: float) -> Figure:
    same = both.at_equal_complexity
    sides = ((both.first.name, same.first), (both.second.name, same.second))
    found = [Distribution(name, at, errors) for at, (name, errors) in enumerate(sides)]
    return distributions.distributions(found, width=width)
