"""Restore the history of a search from its store: its proposals and their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from resnet_space import Architecture, complexity
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.fields import Lookup
from search.exploring.study import Search
from search.fronts.objectives import OBJECTIVES
from search.samplers.sampler import Outcome, Proposal
from search.trials.events import FINISHED, Finished
from search.trials.joint_space import JointSpace, lookup_of_setup
from search.trials.record import TrialRecord
from search.trials.setup import Setup
from search.trials.trial import TrialSpec


@dataclass
class SearchHistory:
    """The stored trials of a search, grouped by what a resumed search does with them."""

    history: list[tuple[Proposal, Outcome | None]] = field(default_factory=list)
    """Proposals in order, each with its outcome; None if it is still to be trained."""
    unfinished: list[TrialSpec] = field(default_factory=list)
    setups: dict[str, Setup] = field(default_factory=dict)
    """Every stored setup that is in the space, by key."""
    set_aside: list[str] = field(default_factory=list)
    """Keys of trials that the space or its constraints exclude now."""
    to_forget: list[str] = field(default_factory=list)
    """Keys of trials that were refused as infeasible, and are feasible now."""
    ended: dict[str, TrialRecord] = field(default_factory=dict)
    """Every finished trial, set aside or not, by key."""
    seconds: float = 0.0
    """Training time of all trials, over all devices."""
    wall_seconds: float = 0.0
    """Time in which at least one trial was running."""


def restore_history(study: Search, space: JointSpace, records: Iterable[TrialRecord]) -> SearchHistory:
    """Return the history of a run in this space. A trial proposed for another space counts if this one has it too."""
    found, intervals = SearchHistory(), []
    ordered = sorted(records, key=lambda record: (record.proposal is None, (record.proposal or {}).get("number", 0)))
    for record in ordered:
        found.seconds += record.seconds or 0.0
        if record.started:
            intervals.append((_utc(record.started), _utc(record.finished or record.started)))
        stored = TrialSpec.of(record.spec)
        # The data can have moved since.
        setup = replace(Setup.of(stored), data=stored.data.found_at(study.dataset.root))
        point = space.point_of(setup)
        assignment = _assignment_in(space, point, record)
        if record.status == "infeasible" and assignment is not None and space.feasible(point) is None:
            found.to_forget.append(record.key)
            continue
        if record.status in FINISHED:
            found.ended[record.key] = record
        if assignment is None:
            found.set_aside.append(record.key)
            continue
        found.setups[setup.key] = setup
        if record.proposal:
            proposal = Proposal(record.proposal["number"], assignment, point, record.seed, record.reason)
            found.history.append((proposal, outcome(study, point, end_event(record), space)))
        if record.status not in FINISHED:
            found.unfinished.append(setup.spec(stored.seed))
    found.wall_seconds = _covered_seconds(intervals)
    return found


def outcome(study: Search, point: Setup, end: Finished | None, space: JointSpace) -> Outcome | None:
    """Return a trial's result for the sampler, or None if it has not ended.

    A complete trial without a value of every objective, or with NaN, counts as failed.
    """
    if end is None:
        return None
    if end.status == "infeasible":
        return Outcome("infeasible", violation=space.violation(point))
    if end.status != "complete":
        return Outcome(end.status)
    lookup = _results(point, end)
    values = tuple(lookup(name) for name in study.objectives)
    if any(value is None or value != value for value in values):
        return Outcome("failed")
    late = study.result_constraint
    return Outcome("complete", values, late.violation(lookup) if late else 0.0)


def _results(point: Setup, end: Finished) -> Lookup:
    """Return a lookup of values by name: measured values of the trial first, then those of its setup."""
    measured = {name: getattr(end, each.column) for name, each in OBJECTIVES.items() if not each.known_before}
    own = lookup_of_setup(point)
    return lambda name: measured[name] if name in measured else own(name)


def epoch_objectives(objectives: Iterable[str]) -> tuple[str, ...]:
    """Return the objectives that are known after every epoch: the error, and those of the network's description."""
    return ("error", *(name for name in objectives if OBJECTIVES[name].known_before))


def costs(net: Architecture, objectives: Iterable[str]) -> tuple[float, ...]:
    """Return a network's values of `epoch_objectives`, without the error, which comes first."""
    cost = complexity(net)
    return tuple(float(getattr(cost, name)) for name in epoch_objectives(objectives)[1:])


def _assignment_in(space: JointSpace, point: Setup, record: TrialRecord) -> Assignment | None:
    """Return the assignment of a stored point in this space, or None if it has none."""
    asked: dict[str, Any] = (record.proposal or {}).get("assignment", {})
    try:
        if record.proposal and space.point(asked).key == point.key:
            return None if record.status != "infeasible" and space.feasible(point) else asked
    except InputError:
        # The assignment is of another space; this one can write the network in another way.
        pass
    return space.locate(point)


def end_event(record: TrialRecord) -> Finished | None:
    """Return the event that ended a stored trial, or None if it has not ended."""
    if record.status not in FINISHED:
        return None
    return Finished(
        record.key,
        record.status,
        record.reason,
        test_error=record.test_error,
        validation_error=record.validation_error,
        top5_error=record.top5_error,
        latency_ms=record.latency_ms,
        seconds=record.seconds or 0.0,
    )


def _utc(time: datetime) -> datetime:
    """Return the time in UTC: SQLite drops the zone, and the store writes UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _covered_seconds(intervals: list[tuple[datetime, datetime]]) -> float:
    """Return how many seconds are covered by at least one of the intervals."""
    covered, until = 0.0, None
    for begin, end in sorted(intervals):
        begin = begin if until is None else max(begin, until)
        if end > begin:
            covered += (end - begin).total_seconds()
        until = end if until is None else max(until, end)
    return covered
