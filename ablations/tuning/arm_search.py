"""The search of one arm for its recipe: what to try next, and which recipe is the best so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ablations.tune import FIRST_SEED, Tune
from resnet_space.dependence import Assignment
from search.samplers.sampler import Outcome, Proposal, Sampler
from search.trials.events import FINISHED, Finished, Status
from search.trials.record import TrialRecord
from search.trials.setup import Setup
from search.trials.trial import TrialSpec

OBJECTIVES = ("error",)


@dataclass(frozen=True)
class Tried:
    """A recipe of an arm: its values on the axes, and the outcome. Without one, it is still to be trained."""

    number: int
    values: Assignment
    status: Status | None = None
    error: float | None = None
    """The validation error of a complete trial."""


class ArmSearch:
    """Asks a sampler for the recipes of an arm, up to the number of trials of the tuning.

    As long as proposals depend on no results, all of them are asked for at once; then one at a time. So the proposals
    of an arm are the same with any number of workers, and after a restart.
    """

    def __init__(self, setup: Setup, tune: Tune) -> None:
        """`setup` is the arm at the recipe that the study gives it."""
        self.setup, self.tune, self.space = setup, tune, tune.space_of(setup)
        strategy = tune.sampler.strategy(self.space, OBJECTIVES, tune.seed)
        self._sampler = Sampler(self.space, strategy, seed=tune.seed)
        self.proposals: dict[str, Proposal] = {}
        """By the key of the trial."""
        self.outcomes: dict[str, Outcome] = {}
        """Those of the trials that have ended, by key."""
        self.exhausted = False
        """Whether the space has no further recipe."""

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Restore the proposals and outcomes that are stored, of this arm and of others."""
        history = []
        for record in records:
            if not record.proposal or record.architecture != self.setup.net.key or record.seed != FIRST_SEED:
                continue
            spec = TrialSpec.of(record.spec)
            if not self.space.makes(spec.recipe, spec.data):
                continue
            point = self.space.point_of(Setup.of(spec))
            proposal = Proposal(record.proposal["number"], record.proposal["assignment"], point, record.seed)
            self.proposals[record.key] = proposal
            if record.status in FINISHED:
                self.outcomes[record.key] = outcome(record.status, record.validation_error)
            history.append((proposal, self.outcomes.get(record.key)))
        self._sampler.restore(history)

    @property
    def budget(self) -> int:
        """The number of recipes to try: that of the study, or all that the axes have."""
        size = self.space.size
        return min(self.tune.trials, size.distinct) if size and size.distinct else self.tune.trials

    @property
    def over(self) -> bool:
        """Whether every trial of the arm's tuning has ended."""
        full = self.exhausted or len(self.proposals) >= self.tune.trials
        return full and len(self.outcomes) == len(self.proposals)

    def ask(self) -> list[tuple[TrialSpec, Proposal]]:
        """Return the new proposals that can be trained now."""
        found = []
        while not self.exhausted and len(self.proposals) < self.tune.trials:
            number = len(self.proposals)
            if number >= self.tune.sampler.blind and len(self.outcomes) < number:
                break
            proposal = (self._first() if not self.proposals else None) or self._sampler.ask()
            if proposal is None:
                self.exhausted = True
                break
            spec = self.spec(proposal)
            self.proposals[spec.key] = proposal
            found.append((spec, proposal))
        return found

    def spec(self, proposal: Proposal) -> TrialSpec:
        """Return the trial of a proposal."""
        assert isinstance(proposal.point, Setup)
        return replace(self.setup, recipe=proposal.point.recipe).spec(FIRST_SEED)

    def tell(self, end: Finished) -> None:
        """Learn how a trial ended."""
        self.outcomes[end.key] = outcome(end.status, end.validation_error)
        self._sampler.tell(self.proposals[end.key].number, self.outcomes[end.key])

    def _first(self) -> Proposal | None:
        """The recipe that the study gives the arm, if it is in the axes."""
        point = self.space.point_of(self.setup)
        assignment = self.space.locate(point)
        if assignment is None:
            return None
        proposal = Proposal(0, assignment, point)
        self._sampler.restore([(proposal, None)])
        return proposal

    @property
    def tried(self) -> Sequence[Tried]:
        """All recipes in the order of their proposals."""
        found = []
        for key, proposal in self.proposals.items():
            end = self.outcomes.get(key)
            error = end.values[0] if end and end.values else None
            found.append(Tried(proposal.number, proposal.assignment, end.status if end else None, error))
        return sorted(found, key=lambda each: each.number)

    @property
    def best(self) -> Tried | None:
        """The recipe of the lowest validation error, of equal ones the first; None if no trial is complete."""
        return best_of(self.tried)


def best_of(tried: Iterable[Tried]) -> Tried | None:
    """Return the recipe of the lowest validation error, of equal ones the first; None if no trial is complete."""
    complete = [each for each in tried if each.error is not None]
    return min(complete, key=lambda each: (each.error, each.number), default=None)


def outcome(status: Status, error: float | None) -> Outcome:
    """Return the outcome for the sampler; a complete trial without an error counts as failed."""
    if status != "complete":
        return Outcome(status)
    return Outcome("failed") if error is None else Outcome("complete", (error,))


def values(tried: Tried | None) -> Assignment:
    """Return the values, by path, of an arm's own recipe; none if no trial is complete: it keeps the study's."""
    return tried.values if tried else {}
