"""What a search knows from its store: who asked for what, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from resnet_space import Architecture, Space, complexity
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.fields import Lookup, measure
from search.exploring.study import Search
from search.fronts.objectives import OBJECTIVES
from search.samplers.sampler import Outcome, Proposal
from search.trials.events import FINISHED, Finished
from search.trials.record import TrialRecord
from search.trials.trial import TrialSpec


@dataclass
class Recollection:
    """Stored trials, sorted by what they are to a search that goes on."""

    history: list[tuple[Proposal, Outcome | None]] = field(default_factory=list)
    """What was asked for, in order, and what became of it; None for what is still to be trained."""
    unfinished: list[TrialSpec] = field(default_factory=list)
    nets: dict[str, Architecture] = field(default_factory=dict)
    """Every network of the space that is stored, by key."""
    aside: list[str] = field(default_factory=list)
    """Trials that the space, or its constraints, no longer have."""
    forgotten: list[str] = field(default_factory=list)
    """Trials that were refused, and no longer would be."""
    ended: dict[str, TrialRecord] = field(default_factory=dict)
    """Every trial that has an end, aside or not, by key."""
    seconds: float = 0.0
    """Training time of all trials, over all devices."""
    wall_seconds: float = 0.0
    """Time in which any trial was running."""


def recall(study: Search, space: Space, records: Iterable[TrialRecord]) -> Recollection:
    """What the run's stored trials are in this space; those that were asked for in another keep what is still valid."""
    found, intervals = Recollection(), []
    ordered = sorted(records, key=lambda record: (record.proposal is None, (record.proposal or {}).get("number", 0)))
    for record in ordered:
        found.seconds += record.seconds or 0.0
        if record.started:
            intervals.append((_utc(record.started), _utc(record.finished or record.started)))
        net = record.network
        assignment = _still_there(space, net, record)
        if record.status == "infeasible" and assignment is not None and space.feasible(net) is None:
            found.forgotten.append(record.key)
            continue
        if record.status in FINISHED:
            found.ended[record.key] = record
        if assignment is None:
            found.aside.append(record.key)
            continue
        found.nets[net.key] = net
        if record.proposal:
            proposal = Proposal(record.proposal["number"], assignment, net, record.seed, record.reason)
            found.history.append((proposal, outcome(study, net, end_of(record), space)))
        if record.status not in FINISHED:
            found.unfinished.append(TrialSpec.of(record.spec))
    found.wall_seconds = _union(intervals)
    return found


def outcome(study: Search, net: Architecture, end: Finished | None, space: Space) -> Outcome | None:
    """How a trial's end looks to a sampler. An end without all objectives, or with NaN, is no complete one."""
    if end is None:
        return None
    if end.status == "infeasible":
        return Outcome("infeasible", violation=space.violation(net))
    if end.status != "complete":
        return Outcome(end.status)
    lookup = _results(net, end)
    values = tuple(lookup(name) for name in study.objectives)
    if any(value is None or value != value for value in values):
        return Outcome("failed")
    late = study.result_constraint
    return Outcome("complete", values, late.violation(lookup) if late else 0.0)


def _results(net: Architecture, end: Finished) -> Lookup:
    """What expressions and objectives find: measures of the trial, then the network's own."""
    measured = {"error": end.validation_error, "latency_ms": end.latency_ms}
    own = measure(net)
    return lambda name: measured[name] if name in measured else own(name)


def early(objectives: Iterable[str]) -> tuple[str, ...]:
    """What of the objectives is known after every epoch: the error, and what a network's description tells."""
    return ("error", *(name for name in objectives if OBJECTIVES[name].known_before))


def costs(net: Architecture, objectives: Iterable[str]) -> tuple[float, ...]:
    """A network's values of `early`, behind the error."""
    cost = complexity(net)
    return tuple(float(getattr(cost, name)) for name in early(objectives)[1:])


def _still_there(space: Space, net: Architecture, record: TrialRecord) -> Assignment | None:
    """The assignment that a stored network has in this space, or None."""
    asked: dict[str, Any] = (record.proposal or {}).get("assignment", {})
    try:
        if record.proposal and space.architecture(asked).key == net.key:
            return None if record.status != "infeasible" and space.feasible(net) else asked
    except InputError:
        # Of another space; it may be written otherwise in this one.
        pass
    return space.locate(net)


def end_of(record: TrialRecord) -> Finished | None:
    """The event that ended a stored trial, None before there was one."""
    if record.status not in FINISHED:
        return None
    return Finished(
        record.key,
        record.status,
        record.reason,
        test_error=record.test_error,
        validation_error=record.validation_error,
        latency_ms=record.latency_ms,
        seconds=record.seconds or 0.0,
    )


def _utc(time: datetime) -> datetime:
    """SQLite forgets the zone; the store writes UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _union(intervals: list[tuple[datetime, datetime]]) -> float:
    """Seconds covered by any of the intervals."""
    covered, until = 0.0, None
    for begin, end in sorted(intervals):
        begin = begin if until is None else max(begin, until)
        if end > begin:
            covered += (end - begin).total_seconds()
        until = end if until is None else max(until, end)
    return covered
