"""Strategies and stopping rules defined elsewhere pass the contract checks of `search.testing`; every law can fail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from random import Random
from typing import Any, ClassVar

import pytest

from resnet_space import Space
from resnet_space.axes import Choices
from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.testing.laws import check
from search.samplers.sampler import Experience, Outcome, Proposal
from search.samplers.stopping import HalvingKind, Values
from search.testing import STOPPING_LAWS, STRATEGY_LAWS, check_stopping, check_strategy
from search.testing.stopping import EXAMPLES


class Draws(Experience):
    """Draws by the seed and the number: a strategy that satisfies every law."""

    def __init__(self, space: Space, objectives: tuple[str, ...], seed: int) -> None:
        super().__init__()
        self.space, self.objectives, self.seed = space, objectives, seed

    def propose(self, number: int) -> Assignment | None:
        return self.space.draw(Random(f"draws {self.seed} {number}"))


class Errors(HalvingKind):
    """Ranks by the error only: a rule that satisfies every law."""

    def place(self, own: Values, others: Sequence[Values]) -> int:
        return sum(values[0] <= own[0] for values in others)


def test_a_strategy_defined_elsewhere_can_satisfy_the_laws() -> None:
    check_strategy(Draws)


def test_a_strategy_that_ignores_the_seed_fails_unless_declared_so() -> None:
    def listed(space: Space, objectives: tuple[str, ...], seed: int) -> Draws:
        return Draws(space, objectives, seed=0)

    with pytest.raises(AssertionError, match="Seeds 0 and 1 ask for the same 10"):
        check_strategy(listed)
    check_strategy(listed, seeded=False)


def test_a_rule_defined_elsewhere_can_satisfy_the_laws() -> None:
    check_stopping(Errors(reduction=2))


# Strategies that break a law


class Outside(Draws):
    def propose(self, number: int) -> Assignment | None:
        return dict.fromkeys(self.space.axes, 7)


class Emptied(Draws):
    """Fails when no unseen network is left."""

    def propose(self, number: int) -> Assignment | None:
        known = {proposal.net.key for proposal, _ in self.learned}
        networks = self.space.networks or {}
        return Random(number).choice([found for key, found in networks.items() if key not in known])


class Ambient(Draws):
    """Draws from a generator that all instances share."""

    shared = Random(0)

    def propose(self, number: int) -> Assignment | None:
        return self.space.draw(self.shared)


class Unseeded(Draws):
    def propose(self, number: int) -> Assignment | None:
        return self.space.draw(Random(number))


class Counting(Draws):
    """Keeps one generator instead of making one for each number."""

    def __init__(self, space: Space, objectives: tuple[str, ...], seed: int) -> None:
        super().__init__(space, objectives, seed)
        self.random = Random(seed)

    def propose(self, number: int) -> Assignment | None:
        return self.space.draw(self.random)


class Latest(Draws):
    """Depends on the outcome that was learned last."""

    last = 0

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        super().learn(proposal, outcome)
        self.last = proposal.number

    def propose(self, number: int) -> Assignment | None:
        return self.space.draw(Random(f"{self.seed} {number} {self.last}"))


class Tired(Draws):
    """Stops after a fixed number of proposals."""

    def propose(self, number: int) -> Assignment | None:
        if number > 6:
            raise StopIteration(number)
        return super().propose(number)


class Once(Draws):
    """Fails if a network has a second seed."""

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        if any(known.net.key == proposal.net.key and known.seed != proposal.seed for known, _ in self.learned):
            raise ValueError("known already")
        super().learn(proposal, outcome)


class Confident(Draws):
    """Assumes that every finished trial is complete."""

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        super().learn(proposal, outcome)
        if outcome.status != "running":
            assert outcome.values is not None, "no values"


class Leader(Draws):
    """Fails if no trial is complete."""

    def propose(self, number: int) -> Assignment | None:
        if number > 3:
            min(outcome.values for _, outcome in self.learned if outcome.values)
        return super().propose(number)


class Impatient(Draws):
    """Fails if a trial is running."""

    def propose(self, number: int) -> Assignment | None:
        if any(outcome.status == "running" for _, outcome in self.learned):
            raise RuntimeError("one is running")
        return super().propose(number)


class Listing(Draws):
    """Assumes that every axis is a list."""

    def propose(self, number: int) -> Assignment | None:
        def chosen(path: str, axis: Any) -> Any:
            assert isinstance(axis, Choices), "not a list"
            return Random(f"{self.seed} {number} {path}").choice(axis.options)

        return self.space.suggest(chosen)


class Vague(Draws):
    """Refuses a continuous range without naming it."""

    def __init__(self, space: Space, objectives: tuple[str, ...], seed: int) -> None:
        super().__init__(space, objectives, seed)
        if any(axis.count is None for axis in space.axes.values()):
            raise InputError("not this one")


class Two(Draws):
    """Assumes that there are two objectives."""

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        super().learn(proposal, outcome)
        if outcome.values:
            _error, _macs = outcome.values


STRATEGIES: list[tuple[str, type[Draws], str]] = [
    ("proposals_are_in_the_space", Outside, r"it proposes \{.*\}: .*7"),
    ("a_space_is_exhausted_without_repetition", Emptied, "It raised IndexError"),
    ("the_same_seed_asks_for_the_same", Ambient, r"As number \d+ it asks for .*; expected "),
    ("another_seed_asks_for_others", Unseeded, "Seeds 0 and 1 ask for the same 10 networks"),
    ("proposals_depend_on_the_history_only", Counting, "First it proposes .*, then "),
    ("the_order_of_learning_does_not_matter", Latest, "In order it proposes .*, in reverse "),
    ("a_restored_search_asks_for_the_same", Counting, r"As number \d+ it asks for .*; expected "),
    ("numbers_only_grow", Tired, "It raised StopIteration: 7"),
    ("several_seeds_of_a_network_are_learned", Once, "It raised ValueError: known already"),
    ("every_outcome_is_accepted", Confident, "no values"),
    ("it_continues_if_no_trial_completes", Leader, "It raised ValueError: min"),
    ("concurrent_trials_are_different", Impatient, "It raised RuntimeError: one is running"),
    ("a_continuous_range_is_searched_or_refused", Listing, "not a list"),
    (
        "a_continuous_range_is_searched_or_refused",
        Vague,
        "refused with not this one; expected the name of the range, unit",
    ),
    ("all_objectives_are_accepted", Two, "It raised ValueError: not enough values to unpack"),
]


@pytest.mark.parametrize(
    ("law", "broken", "message"), STRATEGIES, ids=[f"{law}-{broken.__name__}" for law, broken, _ in STRATEGIES]
)
def test_the_error_names_the_law_that_the_strategy_breaks_and_what_was_found(
    law: str, broken: type[Draws], message: str
) -> None:
    sentence = " ".join((STRATEGY_LAWS[law].__doc__ or "").split())
    with pytest.raises(AssertionError, match=message) as caught:
        check({law: STRATEGY_LAWS[law]}, broken, "the strategy")
    assert str(caught.value).startswith(f"the strategy breaks a law: {sentence} ")


# Rules that break a law. None has a `kind`, because error messages elsewhere list all kinds of rules.


class Lost(Errors):
    def to_yaml(self) -> str:
        return "reduction: 17\n"


class Endless(Errors):
    def rungs(self, epochs: int) -> tuple[int, ...]:
        return (1, epochs)


class Strict(Errors):
    def place(self, own: Values, others: Sequence[Values]) -> int:
        return len(others)


class Lenient(Errors):
    def place(self, own: Values, others: Sequence[Values]) -> int:
        return 0


class Forgiving(Errors):
    """Ranks an infinite error first."""

    def place(self, own: Values, others: Sequence[Values]) -> int:
        return super().place(own, others) if isfinite(own[0]) else 0


class Polite(Errors):
    def place(self, own: Values, others: Sequence[Values]) -> int:
        return sum(values[0] < own[0] for values in others)


class Ordered(Errors):
    def place(self, own: Values, others: Sequence[Values]) -> int:
        return sum(values[0] <= own[0] for values in others[1:]) + bool(others)


class Moody(Errors):
    mood: ClassVar[Random] = Random(0)

    def place(self, own: Values, others: Sequence[Values]) -> int:
        return self.mood.choice([0, len(others)])


RULES: list[tuple[str, HalvingKind, str]] = [
    ("written_and_read_back_it_is_equal", Lost(), "reduction=17"),
    ("rungs_are_distinct_epochs_before_the_last", Endless(), r"For \d+ epochs the rungs are \(1, "),
    ("the_best_trial_is_never_stopped", Strict(), "it stops"),
    ("the_worst_trial_is_stopped", Lenient(), "it does not stop"),
    ("non_finite_values_rank_last", Forgiving(), "it does not stop"),
    ("of_equal_trials_the_first_ranks_first", Polite(), r"has place \d+, and place \d+ after \d+ equal ones"),
    ("the_order_of_the_others_does_not_matter", Ordered(), "After .* the verdict on .* is .*, and after .* it is "),
    ("restored_rungs_give_the_same_verdicts", Moody(), "restored: .*; expected "),
]


@pytest.mark.parametrize(("law", "rule", "message"), RULES, ids=[row[0] for row in RULES])
def test_the_error_names_the_law_that_the_rule_breaks_and_what_was_found(
    law: str, rule: HalvingKind, message: str
) -> None:
    sentence = " ".join((STOPPING_LAWS[law].__doc__ or "").split())
    found = [broken for seed in range(EXAMPLES) if (broken := broken_by(law, rule, seed))]
    assert found
    assert all(text.startswith(f"the rule breaks a law: {sentence} ") for text in found)
    assert any(re.search(message, text) for text in found), found[0]


def broken_by(law: str, rule: HalvingKind, seed: int) -> str:
    try:
        check({law: STOPPING_LAWS[law]}, (rule, Random(seed)), "the rule")
    except AssertionError as error:
        return str(error)
    return ""


def test_every_law_is_broken_by_some_strategy_or_rule() -> None:
    assert {law for law, _, _ in STRATEGIES} == {*STRATEGY_LAWS}
    assert {law for law, _, _ in RULES} == {*STOPPING_LAWS}
