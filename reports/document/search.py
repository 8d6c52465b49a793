"""The document of a search: one function per section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ablations.published import Published
from reports import front, networks
from reports import published as published_results
from reports.document import search_figures
from reports.document.every_run import failed_trials, page, setting
from reports.document.provenance import provenance
from reports.figures.published_results import COSTS
from reports.numbers import percent
from reports.page import Block, Facts, Page, Section, Text
from search.exploring.run import SearchRun


def document(run: SearchRun, published: Sequence[Published] = ()) -> Page:
    """Return the page of a search, finished or not, with `published` results next to measured ones."""
    return page(run, answer(run), [made for section in SECTIONS if (made := section(run, published))])


def answer(run: SearchRun) -> str:
    """Return the size of the front and its network of least error."""
    if not run.front:
        return "No network has a finished trial yet."
    best = min(run.front, key=lambda point: point.error)
    error, confirmed = percent(best.error, best.error_std), sum(point.confirmed for point in run.front)
    own = described(run)[best.key]
    what = f"{own} (network {best.key})" if own else f"Network {best.key}"
    if len(run.front) == 1:
        certain = "confirmed with fresh seeds" if confirmed else "not confirmed with fresh seeds"
        return f"{what} is best in all objectives: validation error {error} %, {front.cost(best)}; {certain}."
    return (
        f"{len(run.front)} networks are on the front, {confirmed} of them confirmed; "
        f"the lowest validation error is {error} %, at {front.cost(best)}: {what}."
    )


def described(run: SearchRun) -> dict[str, str]:
    """Return the values of the axes of each network on the front, by key."""
    chosen = {record.architecture: record.proposal["assignment"] for record in run.searched if record.proposal}
    return networks.by_axes(
        networks.with_recipes({point.key: chosen.get(point.key, {}) for point in run.front}, run.recipes)
    )


def the_front(run: SearchRun, _: Sequence[Published]) -> Section:
    question, history = run.study.question or run.study.name, list(how_it_went(run))
    legend = front.legend(run.front, run.recipes)
    if not run.front:
        return Section("The front", [Text(history)], brief=[Text([answer(run), *history])])
    what = described(run)
    return Section(
        "The front",
        [front.table("Networks on the front", run.front, legend, what), Text(history)],
        brief=[*front.brief(question, run.front, what), Text([answer(run), *history])],
        paper=[front.printed(question, run.front, [*legend, *provenance(run)], run.study.name, what)],
    )


def how_it_went(run: SearchRun) -> Iterator[str]:
    """Return notes on how the front was found: trials, early stopping, confirmation, hypervolume."""
    yield from provenance(run)
    ended = Counter(trial.status for trial in run.searched)
    started = len(run.searched) - ended["infeasible"]
    parts = [f"{number} {status}" for status, number in ended.items() if status != "infeasible"]
    line = f"searched by {run.study.sampler.kind}: {started} trials started ({', '.join(parts) or 'none'})"
    if ended["infeasible"]:
        line += f"; {ended['infeasible']} more violated a constraint and were not started"
    yield f"{line}."
    if ended["pruned"]:
        rungs = sorted(Counter(run.stopped_at.values()).items())
        yield (
            f"pruned by {run.study.stopping.kind}: "
            + ", ".join(f"{number} at epoch {epoch}" for epoch, number in rungs)
            + f"; {run.saved.fraction:.0%} of {run.saved.full} epochs saved."
        )
    if run.study.confirm and run.front:
        confirmed = sum(point.confirmed for point in run.front)
        seeds = f"{run.study.confirm} fresh seed{'s' * (run.study.confirm != 1)}"
        yield f"confirmed with {seeds}: {confirmed} of {len(run.front)} networks on the front."
    if run.study.reference:
        point = ", ".join(f"{name} = {front.objective_text(name, v)}" for name, v in run.study.reference.items())
        if run.reference_problem:
            yield f"no hypervolume: {run.reference_problem}"
        else:
            yield (
                f"hypervolume of the search's trials: {run.trace[-1] if len(run.trace) else 0:.1%} "
                f"of the box below the reference point ({point})."
            )


def figures(run: SearchRun, published: Sequence[Published]) -> Section | None:
    """Return the figures of a search, with a table of published results after the last figure that shows them."""
    table = published_results.table(published, run.study.name)
    costs = [cost for cost in search_figures.costs(run) if search_figures.has_points(run, cost)]
    blocks: list[Block] = [search_figures.front_picture(run, cost, published) for cost in costs]
    if table:
        blocks.insert(max((at for at, cost in enumerate(costs, 1) if cost in COSTS), default=len(costs)), table)
    blocks += filter(None, (search_figures.hypervolume_picture(run), search_figures.importance_picture(run)))
    if blocks and (
        unexplained := [f"No importance of axes for {name}: {reason}." for name, reason in run.without_importance]
    ):
        blocks.append(Text(unexplained))
    return Section("Figures", blocks, paper=[table] if table else []) if blocks else None


def the_networks(run: SearchRun, _: Sequence[Published]) -> Section | None:
    if len(run.front) < 2:
        return None
    differ = front.differences([run.nets[point.key] for point in run.front])
    facts = [(point.key, fields) for point, fields in zip(run.front, differ, strict=True)]
    return Section("Differences between the networks", [Text(["Fields with different values:"]), Facts(facts)])


def run_setting(run: SearchRun, _: Sequence[Published]) -> Section:
    study = run.study
    searching, confirming = (_numbers(seeds) for seeds in (range(study.replicates), study.confirmation_seeds))
    return setting(run, seeds=f"{searching} to search, {confirming} to confirm")


def _numbers(seeds: range) -> str:
    """Return `0 to 2`, `3`, or `none`."""
    if len(seeds) < 2:
        return f"{seeds[0]}" if seeds else "none"
    return f"{seeds[0]} to {seeds[-1]}"


SECTIONS: tuple[Callable[[SearchRun, Sequence[Published]], Section | None], ...] = (
    the_front,
    figures,
    the_networks,
    failed_trials,
    run_setting,
)
"""In page order. To add a section, write its function and list it here."""
