"""The estimated cost of studies with parts: an ablation on several data sets, and one with tuned arms."""

from __future__ import annotations

from dataclasses import replace

from ablations.across.plan import PlanAcross, lines_of_parts
from ablations.tuning.plan import TunedPlan
from reports.outlook import Outlook, added, at_once, of_ablation


def of_several(plan: PlanAcross) -> Outlook:
    """Estimate the cost of an ablation on several data sets, from that on each of them."""
    parts = {label: of_ablation(part) for label, part in plan.parts.items()}
    trials = sum(part.trials or 0 for part in parts.values())
    return Outlook(
        study=plan.study.name,
        kind=plan.study.kind,
        trials=trials,
        rows=[replace(row, name=f"{label}: {row.name}") for label, part in parts.items() for row in part.rows],
        seconds=added([part.seconds for part in parts.values()]),
        at_once=at_once(plan),
        facts={"datasets": {label: {"trials": part.trials, **part.facts} for label, part in parts.items()}},
        lines=[
            f"{len(parts)} data sets: {trials} trials",
            *lines_of_parts({label: part.lines for label, part in parts.items()}),
        ],
        misfits=lines_of_parts({label: part.misfits for label, part in parts.items()}),
        read=all(part.read for part in parts.values()),
    )


def of_tuned(plan: TunedPlan) -> Outlook:
    """Estimate the cost of an ablation with tuned arms: as without tuning, then its trials, then the same again.

    The trials of the tuning take as long as those of the study's own recipe; axes of its length are not foreseen.
    """
    study, shared = plan.study, of_ablation(plan.shared)
    assert study.tune is not None
    by_name = {row.name: row.seconds for row in shared.rows}
    distinct = {id(search): (by_name[name], search.budget) for name, search in plan.searches(()).items()}
    tuning = [None if each is None else each * budget for each, budget in distinct.values()]
    seconds = [shared.seconds, *tuning, shared.seconds]
    axes = ", ".join(study.tune.axes)
    return replace(
        shared,
        trials=2 * len(plan.shared.first) + plan.tuning_trials,
        seconds=added(seconds),
        facts={
            **shared.facts,
            "tuning": {"trials": plan.tuning_trials, "networks": len(plan.budgets), "axes": list(study.tune.axes)},
        },
        lines=[
            *shared.lines,
            f"tuning: {study.tune.trials} recipes for each of {len(plan.budgets)} networks, over {axes}, by "
            f"{study.tune.sampler.kind}: {plan.tuning_trials} trials",
            f"then every arm at its own recipe: up to {len(plan.shared.first)} trials",
            *[line for line in plan.notices if line not in shared.lines],
        ],
    )
