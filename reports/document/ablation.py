"""The document of an ablation: one function per section."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ablations import registration
from ablations.across.run import RunAcross
from ablations.published import Published
from ablations.recipe_dependence import dependent, not_shown
from ablations.run import AblationRun
from reports import published as published_results
from reports.document import arm_figures, arm_tables, image_figures, image_tables, signal_figures
from reports.document.answer import answer
from reports.document.arm_notes import brief_notes, by_other_measures, changed
from reports.document.every_run import Fact, failed_trials, page, setting
from reports.document.recipe import value
from reports.names import quoted
from reports.numbers import engineering
from reports.page import Block, Page, Section, Text
from search.trials.setup import changes_shown, differing, of_network


def document(run: AblationRun, published: Sequence[Published] = ()) -> Page:
    """Return the page of an ablation, finished or not, with `published` results next to measured ones."""
    return page(run, answer(run), [made for section in SECTIONS if (made := section(run, published))])


def arms(run: AblationRun, _: Sequence[Published]) -> Section:
    table, question = arm_tables.arms(run), run.study.question or run.study.name
    return Section(
        "Arms",
        [table],
        brief=[
            Text([answer(run)]),
            *arm_tables.brief(run, question),
            Text([*changed(run), *by_other_measures(run), *brief_notes(run)]),
        ],
        paper=[arm_tables.printed(run, f"{question} {answer(run)}")],
    )


def differences(run: AblationRun, _: Sequence[Published]) -> Section | None:
    """Return the figures of differences, then planned and exploratory comparisons in separate tables."""
    if not run.findings:
        return None
    blocks: list[Block] = [*arm_figures.forests(run)]
    for caption, planned in (("Planned comparisons", True), ("Exploratory comparisons", False)):
        if found := [each for each in run.findings if each.planned == planned]:
            blocks.append(arm_tables.comparisons(run, caption, found))
    return Section("Differences", blocks)


def equal_complexity(run: AblationRun, _: Sequence[Published]) -> Section | None:
    table = arm_tables.both_ways(run)
    return Section("Equal complexity", [table]) if table else None


def effects_of_factors(run: AblationRun, _: Sequence[Published]) -> Section | None:
    table = arm_tables.effects(run)
    study = run.study
    words = [line for find in (dependent, not_shown) for line in find(study.factors, run.effects, study.planned.alpha)]
    return Section("Effects of the factors", [table, *([Text(words)] if words else [])]) if table else None


def by_image(run: AblationRun, _: Sequence[Published]) -> Section | None:
    """Return what the predictions for single test images say, or that they are not stored; None without results."""
    lines = list(image_tables.missing(run))
    if not run.predicted.arms:
        return Section("Test images", [Text(lines)], brief=[Text(lines)]) if lines else None
    same = run.predicted.same_images
    blocks = [
        image_tables.intervals(run),
        image_tables.agreement(run) if same else None,
        image_tables.probabilities(run),
        image_tables.errors_by_class(run),
        image_figures.confusions(run),
        image_tables.confusions(run),
        image_tables.images(run) if same else None,
        image_figures.pictures(run) if same else None,
        Text(lines) if lines else None,
    ]
    spoken = [*image_tables.verdict(run), *lines]
    return Section("Test images", [block for block in blocks if block], brief=[Text(spoken)] if spoken else [])


def learning_curves(run: AblationRun, _: Sequence[Published]) -> Section | None:
    pictures = arm_figures.curves(run)
    return Section("Learning curves", pictures) if pictures else None


def error_against_complexity(run: AblationRun, published: Sequence[Published]) -> Section | None:
    picture, table = arm_figures.error_against_macs(run, published), published_results.table(published, run.study.name)
    blocks = [block for block in (picture, table) if block]
    return Section("Error against complexity", blocks, paper=[table] if table else []) if blocks else None


def signal_propagation(run: AblationRun, _: Sequence[Published]) -> Section | None:
    pictures = signal_figures.propagation(run)
    return Section("Signal propagation", pictures) if pictures else None


def run_setting(run: AblationRun | RunAcross, _: Sequence[Published]) -> Section:
    return setting(
        run,
        network=[*_network(run), *_nets(run), *_match(run), *_changes(run)],
        seeds=_seeds(run),
        planned=_planned(run),
    )


def _network(run: AblationRun | RunAcross) -> list[Fact]:
    """Return the network that all arms modify."""
    study = run.study
    base = study.net if isinstance(study.net, str) else "defined in the study"
    return [("network", ", ".join([base, *(f"{path}={value}" for path, value in of_network(study.set).items())]))]


def _changes(run: AblationRun | RunAcross) -> list[Fact]:
    """Return how the recipe and the data of arms differ from those of the study."""
    study = next(iter(run.study.on_each.values()))
    found = {arm: differing(*study.trainings[0], *trained) for arm, trained in study.trained.items()}
    return [(f"recipe and data of {arm}", changes_shown(changes)) for arm, changes in found.items() if changes]


def _nets(run: AblationRun | RunAcross) -> list[Fact]:
    """Return what each arm changes in the network, with the paths of the study; none for more arms than are drawn."""
    arms = run.study.all_arms
    if len(arms) > arm_figures.MOST_DRAWN:
        return []
    named = []
    for name, arm in arms.items():
        changed = [f"{path}: {value(given)}" for path, given in of_network(arm.set).items()]
        net = [] if arm.net is None else [arm.net if isinstance(arm.net, str) else "another net"]
        named.append(f"{quoted(name)} ({', '.join([*net, *changed]) or 'no change'})")
    return [("networks of arms", "; ".join(named))]


def _match(run: AblationRun | RunAcross) -> list[Fact]:
    """Return what arms of equal complexity are matched to, how, and how closely."""
    match = run.study.match
    if match is None:
        return []
    goal = match.params if match.macs is None else match.macs
    cost = "MACs" if match.measure == "macs" else "parameters"
    of_baseline = f"{cost} of {quoted(run.study.control)}"
    target = f"{engineering(goal)} {cost}" if isinstance(goal, float) else of_baseline
    how = f"each arm is also rescaled by {match.by} to the {target}, within {100 * match.tolerance:g} %"
    return [("equal complexity", how)]


def _seeds(run: AblationRun | RunAcross) -> str:
    study = run.study
    more = f", up to {study.most_seeds - 1} while comparisons are not resolved" if study.adaptive else ""
    shared = "at the same seed, all arms share data order, augmentation and initial values of common weights"
    return f"0 to {study.least_seeds - 1}{more}; {shared}"


def _planned(run: AblationRun | RunAcross) -> list[Fact]:
    """Return the number of planned comparisons, whether they were stored before the first trial, and registered."""
    study = run.study
    registered = ("registration", registration.of_run(run.folder, study))
    if not study.planned.compare:
        return [("planned comparisons", "none"), registered]
    when = "stored before the first trial" if run.as_planned else "changed after the first trial"
    return [("planned comparisons", f"{len(study.planned.compare)}, {when} (hash {study.plan_hash})"), registered]


RESULTS: tuple[Callable[[AblationRun, Sequence[Published]], Section | None], ...] = (
    arms,
    differences,
    equal_complexity,
    effects_of_factors,
    by_image,
    learning_curves,
    error_against_complexity,
    signal_propagation,
)
"""The results on one data set, in page order. To add a section, write its function and list it here."""

SECTIONS: tuple[Callable[[AblationRun, Sequence[Published]], Section | None], ...] = (
    *RESULTS,
    failed_trials,
    run_setting,
)
"""In page order."""
