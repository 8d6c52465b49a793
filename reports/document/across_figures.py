"""The figures of an ablation on several data sets: its run converted to the plain data that figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ablations.across.findings import FindingAcross
from ablations.across.ranks import Ranks
from ablations.across.run import RunAcross
from reports.document.arm_figures import MOST_DRAWN, indices, stem_of, unit_of
from reports.figures import differences
from reports.figures import ranks as rank_figures
from reports.figures.differences import Bar
from reports.figures.ranks import Ranked
from reports.names import against, quoted
from reports.page import Picture
from search.measures.catalogue import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablations.effects import Difference


def forests(run: RunAcross) -> list[Picture]:
    """Return a figure for each measure: differences on each data set and their means; none for a study of one arm."""
    measures = run.study.planned.measures
    return [_forest(run, measure) for measure in measures if any(map(_has_number, _by(run, measure)))]


def _has_number(found: FindingAcross) -> bool:
    """Whether the arm is compared on a data set."""
    return any(own.difference.delta is not None for own in found.by_set.values())


def _by(run: RunAcross, measure: Measure) -> list[FindingAcross]:
    return [found for found in run.findings if found.measure == measure]


def _forest(run: RunAcross, measure: Measure) -> Picture:
    shown, number = _shown(run, measure), len(_by(run, measure))
    left_out = "" if len(shown) == number else f" {len(shown)} of {number} comparisons are drawn."
    caption = (
        f"Difference of each arm from {quoted(run.study.control)} in {measure.words} on each data set, in "
        f"{unit_of(measure)}, with its interval over seeds; then the mean, with its interval over data sets. Filled: "
        "resolved; hollow: not "
        f"resolved.{left_out}"
    )
    stem = "differences-over-data-sets" + ("" if measure == run.study.measure else f"-{stem_of(measure)}")
    return Picture(stem, partial(_draw_forest, run, measure), caption, _forest_in_words(run, measure))


def _shown(run: RunAcross, measure: Measure) -> list[FindingAcross]:
    """Return the comparisons that are drawn: if there are too many, planned ones and those that differ most."""
    most, found = max(1, MOST_DRAWN // (len(run.parts) + 1)), _by(run, measure)
    ranked = sorted(found, key=lambda each: (not each.planned, -abs(each.difference.delta or 0.0)))
    return [each for each in found if each in ranked[:most]]


def _draw_forest(run: RunAcross, measure: Measure, width: float) -> Figure:
    index = indices(next(iter(run.parts.values())))
    return differences.forest(
        [bar for found in _shown(run, measure) for bar in _bars(run, found, index.get(found.arm, 0))],
        width=width,
        baseline=run.study.control,
        margin=run.study.planned.equivalent_within if measure.split else None,
        measure=measure.words,
        unit=unit_of(measure),
        times=100 if measure.percent else 1,
    )


def _bars(run: RunAcross, found: FindingAcross, index: int) -> Iterator[Bar]:
    """Yield a row for each data set, then one for their mean."""
    name = found.arm if found.versus == run.study.control else against(found.arm, found.versus)
    for label, own in found.by_set.items():
        note = "" if own.difference.delta is not None else own.verdict
        yield _bar(f"{name}, {label}", index, own.difference, own.resolved, planned=found.planned, note=note)
    yield _bar(f"{name}, mean", index, found.difference, found.resolved, planned=found.planned, note="")


def _bar(name: str, index: int, seen: Difference, resolved: bool, *, planned: bool, note: str) -> Bar:
    return Bar(name, index, seen.delta, seen.low, seen.high, resolved=resolved, planned=planned, note=note)


def _forest_in_words(run: RunAcross, measure: Measure) -> str:
    """Return a text alternative of the figure of differences."""

    def number(seen: Difference) -> str:
        return "unknown" if seen.delta is None else f"{measure.signed(seen.delta)} {measure.difference_unit}".rstrip()

    parts = []
    for found in _shown(run, measure):
        on_each = ", ".join(f"{label} {number(own.difference)}" for label, own in found.by_set.items())
        parts.append(f"{quoted(found.arm)}: {on_each}, mean {number(found.difference)}")
    return "; ".join(parts)


def ranks(run: RunAcross) -> Picture | None:
    """Return the critical-difference diagram; None if no two arms could be distinguished, whatever their results."""
    found = run.ranks
    if found is None or not found.can_separate:
        return None
    k, n = len(found.arms), len(found.by_set)
    left_out = f" The {MOST_DRAWN} best of {k} arms are drawn." if k > MOST_DRAWN else ""
    caption = (
        f"Average ranks of arms over {n} data sets. Bars join arms that cannot be distinguished: their average ranks "
        f"differ by less than the critical difference {found.critical_difference:.2f} (Nemenyi, {found.alpha:g})."
        f"{left_out}"
    )
    return Picture("ranks", partial(_draw_ranks, run, found), caption, _ranks_in_words(found))


def _drawn_places(found: Ranks) -> list[int]:
    return sorted(range(len(found.arms)), key=found.average.__getitem__)[:MOST_DRAWN]


def _draw_ranks(run: RunAcross, found: Ranks, width: float) -> Figure:
    index, places = indices(next(iter(run.parts.values()))), _drawn_places(found)
    joined = [[index[found.arms[place]] for place in group if place in places] for group in found.groups]
    return rank_figures.critical_difference(
        [Ranked(found.arms[place], index[found.arms[place]], found.average[place]) for place in places],
        most=len(found.arms),
        distance=found.critical_difference,
        width=width,
        groups=[group for group in joined if len(group) > 1],
    )


def _ranks_in_words(found: Ranks) -> str:
    """Return a text alternative of the diagram: the average ranks, then the groups that bars join."""
    places, names = _drawn_places(found), [quoted(arm) for arm in found.arms]
    ranked = ", ".join(f"{names[place]} {found.average[place]:.2f}" for place in places)
    groups = "; ".join(" and ".join(names[place] for place in group if place in places) for group in found.groups)
    apart = f"Cannot be distinguished: {groups}." if groups else "All can be distinguished."
    return f"Average ranks: {ranked}. {apart}"
