"""How a search went, in lines: trials, what early stopping saved, how far the front came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reports.front import objective_text
from reports.origin import origin
from search.exploring.run import SearchRun


def course(run: SearchRun) -> Iterator[str]:
    """What a reader of the front should know about how it came to be."""
    yield from origin(run)
    ended = Counter(trial.status for trial in run.searched)
    begun = len(run.searched) - ended["infeasible"]
    parts = [f"{number} {status}" for status, number in ended.items() if status != "infeasible"]
    line = f"searched by {run.study.sampler.kind}: {begun} trials begun ({', '.join(parts) or 'none'})"
    if ended["infeasible"]:
        line += f"; {ended['infeasible']} more were over a constraint, and never begun"
    yield f"{line}."
    if ended["pruned"]:
        rungs = sorted(Counter(run.stopped_at.values()).items())
        yield (
            f"stopped early by {run.study.stopping.kind}: "
            + ", ".join(f"{number} at epoch {epoch}" for epoch, number in rungs)
            + f"; {run.saved.fraction:.0%} of {run.saved.full} epochs were saved."
        )
    if run.study.confirm and run.front:
        sure = sum(point.confirmed for point in run.front)
        yield f"confirmed with {run.study.confirm} fresh seeds: {sure} of {len(run.front)} networks on the front."
    if run.study.reference:
        point = ", ".join(f"{name} = {objective_text(name, value)}" for name, value in run.study.reference.items())
        if run.reference_problem:
            yield f"no hypervolume: {run.reference_problem}"
        else:
            yield (
                f"hypervolume of the search's trials: {run.trace[-1] if len(run.trace) else 0:.1%} "
                f"of the box below the reference point ({point})."
            )
