"""The document of an ablation with tuned arms: both answers, what changes between them, the tuning, and each part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ablations.findings import Finding
from ablations.published import Published
from ablations.tuning.budget import expected_lowest
from ablations.tuning.plan import OWN, SHARED
from ablations.tuning.run import TunedRun
from reports.document.ablation import RESULTS
from reports.document.across import relabelled
from reports.document.answer import answer as answer_of_part
from reports.document.answer import word as conclusion
from reports.document.arm_figures import indices
from reports.document.every_run import failed_trials, page
from reports.figures import tuning
from reports.numbers import percent
from reports.page import Cell, Grid, Page, Picture, Section, Text
from search.trials.setup import changes_text

UNFINISHED = "The tuning is not over: the arms' own recipes are not known yet."
MARK = "changes"


def document(run: TunedRun, published: Sequence[Published] = ()) -> Page:
    """Return the page of an ablation with tuned arms, finished or not."""
    first = [both_recipes(run), the_tuning(run)]
    rest = [made for made in (failed_trials(run), run_setting(run)) if made]
    return page(run, answer(run), [*first, *_parts(run, published), *rest])


def answer(run: TunedRun) -> str:
    """Return the answer at the shared recipe, that at the arms' own, and how many conclusions change."""
    shared = f"At the shared recipe: {answer_of_part(run.shared)}"
    if run.own is None:
        return f"{shared} {UNFINISHED}"
    return f"{shared} Each at its own recipe: {answer_of_part(run.own)} {changes(run)}"


@dataclass(frozen=True)
class BothWays:
    """One comparison at the shared recipe and at the arms' own."""

    shared: Finding
    own: Finding | None

    @property
    def changed(self) -> bool:
        """Whether the two show different things. A comparison that is open at one of them is no other conclusion."""
        if self.own is None:
            return False
        both = {conclusion(self.shared), conclusion(self.own)}
        return len(both) == 2 and not both & {"not resolved", "no results"}

    @property
    def lost(self) -> bool:
        """Whether a difference at the shared recipe is not shown at the arms' own."""
        return bool(self.own and self.shared.resolved and conclusion(self.own) == "not resolved")

    @property
    def gained(self) -> bool:
        """Whether a difference is shown only at the arms' own recipes."""
        return bool(self.own and self.own.resolved and conclusion(self.shared) == "not resolved")


def both_ways(run: TunedRun) -> list[BothWays]:
    """Return the comparisons by the measure of the study, planned ones first."""
    own = {_name(each): each for each in run.own.findings} if run.own else {}
    return [BothWays(each, own.get(_name(each))) for each in run.shared.findings]


def _name(found: Finding) -> tuple[str, str, str, float | None]:
    return found.arm, found.versus, found.measure.name, found.margin


def changes(run: TunedRun) -> str:
    """Return in a sentence which conclusions depend on the recipe."""
    compared = both_ways(run)
    parts = [
        _named("another conclusion", [each for each in compared if each.changed]),
        _named("no longer resolved", [each for each in compared if each.lost]),
        _named("resolved only there", [each for each in compared if each.gained]),
    ]
    said = "; ".join(filter(None, parts))
    total = f"{len(compared)} comparison{'s' * (len(compared) != 1)}"
    return f"Of {total}, at the arms' own recipes: {said}." if said else f"No conclusion of {total} depends on it."


def _named(what: str, some: Sequence[BothWays]) -> str:
    names = ", ".join(each.shared.arm for each in some[:4]) + (", ..." if len(some) > 4 else "")
    return f"{len(some)} {what} ({names})" if some else ""


def both_recipes(run: TunedRun) -> Section:
    """Return the table of all arms at the shared recipe and at their own, with the conclusions of both."""
    notes = [
        "difference: test error minus that of the arm it is compared with, with its interval; *: resolved.",
        *([] if run.own else [UNFINISHED]),
    ]
    table = Grid(
        run.study.question or run.study.name,
        ["arm", "shared recipe: error, %", "difference, points", "own recipe", "error, %", "difference, points ", ""],
        ["shared recipe: error, %", "difference, points", "error, %", "difference, points "],
        list(_rows(run)),
        arms=[indices(run.shared)[name] for name in run.shared.setups],
        notes=notes,
        label=f"{run.study.name}-recipes",
    )
    lines = [answer(run), *_budget_notes(run)]
    return Section("Shared and own recipe", [table], brief=[Text([answer(run)]), table, Text(lines[1:])], paper=[table])


def _rows(run: TunedRun) -> Iterator[list[Cell]]:
    compared = {each.shared.arm: each for each in reversed(both_ways(run))}
    errors = {part: {arm.arm: arm for arm in found.summaries} for part, found in run.parts.items()}
    for name in run.shared.setups:
        both, best = compared.get(name), run.best[name]
        shared, own = errors[SHARED][name], errors.get(OWN, {}).get(name)
        word = MARK if both and both.changed else "open" if both and (both.lost or both.gained) else ""
        yield [
            Cell(name, mark="baseline" if name == run.study.control else ""),
            Cell(percent(shared.mean, shared.std), shared.mean),
            _difference(both.shared if both else None),
            Cell(changes_text(_rounded(best.values)) if best else ("-" if run.own else "")),
            Cell(percent(own.mean, own.std) if own else "", own.mean if own else None),
            _difference(both.own if both else None),
            Cell(word, mark="resolved" if word == MARK else ""),
        ]


def _difference(found: Finding | None) -> Cell:
    if found is None or (delta := found.difference.delta) is None:
        return Cell("")
    seen = found.difference
    interval = "" if seen.low is None or seen.high is None else f" [{100 * seen.low:+z.2f}, {100 * seen.high:+z.2f}]"
    sign = " *" if found.resolved else ""
    return Cell(f"{100 * delta:+z.2f}{interval}{sign}", delta, mark="resolved" if found.resolved else "")


def _rounded(values: dict[str, object]) -> dict[str, object]:
    """Return values with numbers of three digits, as a table shows them; the CSV has all digits."""
    return {path: float(f"{value:.3g}") if isinstance(value, float) else value for path, value in values.items()}


def _budget_notes(run: TunedRun) -> list[str]:
    tune = run.study.tune
    assert tune is not None
    axes = ", ".join(tune.axes)
    return [
        f"tuning: {tune.trials} recipes for every arm, over {axes}, by {tune.sampler.kind} on the validation error, "
        "with a seed that no other trial has."
    ]


def the_tuning(run: TunedRun) -> Section:
    """Return validation error against each axis of numbers, with every arm's optimum, and against the budget."""
    places = indices(run.shared)
    pictures = []
    for path in _numeric_axes(run):
        caption = (
            f"Validation error of every recipe that was tried, against {path}; a ring is the arm's best. Lines join "
            "the recipes of an arm in the order of the axis."
        )
        stem = f"tuning-{re.sub('[^a-z0-9]+', '-', path)}"
        points = {
            name: [(each.values[path], each.error) for each in tried if path in each.values and each.error is not None]
            for name, tried in run.tried.items()
        }
        best = {name: each.values.get(path) for name, each in run.best.items() if each}
        pictures.append(Picture(stem, partial(tuning.against_axis, points, best, places, path), caption))
    expected = {
        name: expected_lowest([each.error for each in tried if each.error is not None])
        for name, tried in run.tried.items()
    }
    blind = run.study.tune is not None and run.study.tune.sampler.blind >= run.study.tune.trials
    caption = (
        "Expected lowest validation error of 1, 2, ... recipes, drawn at random from those that were tried (Dodge et "
        "al. 2019)" + ("." if blind else "; the sampler learns, so a smaller budget can be expected to do better.")
    )
    pictures.append(Picture("tuning-budget", partial(tuning.against_budget, expected, places), caption))
    return Section("Tuning", [*pictures, _tried(run)])


def _numeric_axes(run: TunedRun) -> list[str]:
    found = [value for tried in run.tried.values() for each in tried for value in each.values.items()]
    return list(
        dict.fromkeys(path for path, value in found if isinstance(value, int | float) and not isinstance(value, bool))
    )


def _tried(run: TunedRun) -> Grid:
    """Return the table of arms with their own recipes, and what the tuning found on the way."""
    rows = []
    for name, tried in run.tried.items():
        best, errors = run.best[name], [each.error for each in tried]
        first = next((error for error in errors if error is not None), None)
        failed = sum(each.status is not None and each.error is None for each in tried)
        rows.append(
            [
                Cell(name),
                Cell(f"{len(tried)}", len(tried)),
                Cell(f"{failed}" if failed else "", failed),
                Cell(percent(first, None) if first is not None else "", first),
                Cell(percent(best.error, None) if best else "", best.error if best else None),
                Cell(changes_text(_rounded(dict(best.values))) if best else ""),
            ]
        )
    headings = ["arm", "recipes", "failed", "first error, %", "lowest error, %", "own recipe"]
    notes = [
        "errors are of the validation split, of one seed; the first recipe is the study's own if it is in the axes."
    ]
    return Grid("The tuning of every arm", headings, headings[1:5], rows, notes=notes).without_empty_columns()


def _parts(run: TunedRun, published: Sequence[Published]) -> Iterator[Section]:
    """Yield the sections of both parts, as in the document of an ablation."""
    for place, (label, part) in enumerate(run.parts.items(), 1):
        found = [made for section in RESULTS if (made := section(part, published if label == SHARED else ()))]
        first = replace(found[0], blocks=[Text([answer_of_part(part)]), *found[0].blocks])
        for section in [first, *found[1:]]:
            # The terminal shows the table of both, and not every section twice.
            yield replace(relabelled(section, label, place), brief=[])


def run_setting(run: TunedRun) -> Section:
    """Return what is needed to repeat the run."""
    from reports.document.ablation import run_setting as of_ablation

    facts = of_ablation(run.shared, ())
    return replace(facts, blocks=[*facts.blocks, Text(_budget_notes(run))])
