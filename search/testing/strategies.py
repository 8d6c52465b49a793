"""Laws that every strategy satisfies."""

from __future__ import annotations

from itertools import product

from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.testing.laws import Laws, check, expect, table
from search.samplers.sampler import AnySpace, Outcome, Proposal, Sampler, Strategy
from search.testing.searches import (
    OBJECTIVES,
    History,
    Make,
    drive,
    every_outcome_in_turn,
    keys,
    recipes,
    sampler,
    space,
)


def check_strategy(make: Make, *, seeded: bool = True) -> None:
    """Check every law of `STRATEGY_LAWS`.

    `make` returns a strategy without history from a space, the objectives' names and a seed, like the method
    `strategy` of a `SamplerKind`. If the strategy starts with random draws, make it draw few: the spaces have 12 to 24
    networks. Set `seeded=False` for a strategy that does not depend on the seed.

    Raises:
        AssertionError: the first law that is broken, with what was found and what was expected.
    """
    laws = {name: law for name, law in STRATEGY_LAWS.items() if seeded or law is not another_seed_asks_for_others}
    check(laws, make, "the strategy")


def proposals_are_in_the_space(make: Make) -> None:
    """A proposal has a valid value for every active axis, and its network satisfies the constraints."""
    for name in ("small", "conditions", "constraints"):
        where = space(name)
        watched = _Watched(make(where, OBJECTIVES, 0))
        asked, _ = drive(Sampler(where, watched), 9)
        for proposed in watched.proposed:
            try:
                where.suggest(lambda path, _: proposed[path])  # noqa: B023
            except (InputError, KeyError) as error:
                raise AssertionError(f"In the space {name!r} it proposes {proposed}: {error}.") from error
        expect(len(asked) == 9, f"In the space {name!r} there were {len(asked)} proposals; expected 9.")
        listed = list(where.assignments())
        for proposal in asked:
            reason = where.feasible(where.point(proposal.assignment))
            expect(reason is None, f"In the space {name!r}: {reason}.")
            # In the space's own form: with every active axis and no other.
            expect(proposal.assignment in listed, f"The space {name!r} has no {proposal.assignment}.")
            same = where.point(proposal.assignment).key == proposal.key
            expect(same, "The assignment belongs to another network.")


def a_space_is_exhausted_without_repetition(make: Make) -> None:
    """Asked until nothing is left, it has asked for every network of the space exactly once."""
    for name in ("small", "conditions"):
        asked, _ = drive(sampler(make, space(name)), 1000)
        wanted = sorted(net.key for net in space(name).enumerate())
        message = f"In the space {name!r} it asked {len(asked)} times for {len(wanted)} networks."
        expect(sorted(keys(asked)) == wanted, message)


def the_same_seed_asks_for_the_same(make: Make) -> None:
    """Two searches with the same seed and the same outcomes of trials ask for the same networks."""
    one, other = (drive(sampler(make, space("constraints")), 9) for _ in range(2))
    _same(one[0], other[0])
    expect(one == other, "The histories differ.")


def another_seed_asks_for_others(make: Make) -> None:
    """Two strategies with different seeds ask for different networks or in a different order."""
    where = space("constraints")
    one, other = (drive(Sampler(where, make(where, OBJECTIVES, seed)), 10)[0] for seed in (0, 1))
    expect(keys(one) != keys(other), "Seeds 0 and 1 ask for the same 10 networks.")


def proposals_depend_on_the_history_only(make: Make) -> None:
    """Asked twice for the same number, with nothing learned in between, it proposes the same."""
    strategy = _taught(make, _history(make, at_once=1))
    one, other = strategy.propose(20), strategy.propose(20)
    expect(one == other, f"First it proposes {one}, then {other}.")


def the_order_of_learning_does_not_matter(make: Make) -> None:
    """The same outcomes, learned in another order, lead to the same proposal."""
    history = _history(make, at_once=3)
    one, other = (_taught(make, learned).propose(20) for learned in (history, history[::-1]))
    expect(one == other, f"In order it proposes {one}, in reverse {other}.")


def a_restored_search_asks_for_the_same(make: Make) -> None:
    """A search restored from its history asks for the same networks as one that was never interrupted."""
    for stop, at_once in product((3, 8), (1, 3)):
        uninterrupted = sampler(make, space("constraints"))
        _, history = drive(uninterrupted, stop, every_outcome_in_turn, at_once)
        restored = sampler(make, space("constraints"))
        # The store can return them in any order.
        restored.restore(reversed(history))
        (asked, ends), (wanted, right) = (drive(each, 3, every_outcome_in_turn) for each in (restored, uninterrupted))
        _same(asked, wanted)
        expect(ends == right, "The histories differ.")


def numbers_only_grow(make: Make) -> None:
    """Each proposal has a new number, and after a restart the next number is larger than all before."""
    of = sampler(make, space("constraints"))
    _, history = drive(of, 6)
    numbers = [proposal.number for proposal, _ in history]
    expect(len(set(numbers)) == len(numbers), f"Some of the numbers {numbers} are equal.")
    again = sampler(make, space("constraints"))
    again.restore(history)
    proposal = again.ask()
    expect(proposal is not None and proposal.number > max(numbers), f"After {numbers} comes {proposal}.")


def several_seeds_of_a_network_are_learned(make: Make) -> None:
    """If every network is trained with two seeds, it learns both outcomes and continues."""
    asked, _ = drive(sampler(make, space("small"), replicates=2), 8)
    expect([proposal.seed for proposal in asked] == [0, 1] * 4, f"The seeds are {[each.seed for each in asked]}.")
    expect(len(set(keys(asked))) == 4, f"They belong to {len(set(keys(asked)))} networks; expected 4.")


def every_outcome_is_accepted(make: Make) -> None:
    """The search continues after trials that are pruned, diverge, fail or violate a constraint."""
    asked, _ = drive(sampler(make, space("constraints")), 11, every_outcome_in_turn)
    expect(len(set(keys(asked))) == 11, f"It asked for {len(set(keys(asked)))} networks; expected 11.")


def it_continues_if_no_trial_completes(make: Make) -> None:
    """If every trial diverges, it still asks for all networks of the space."""
    asked, _ = drive(sampler(make, space("small")), 12, lambda _: Outcome("diverged"))
    expect(len(asked) == 12, f"It asked for {len(asked)} networks; expected 12.")


def concurrent_trials_are_different(make: Make) -> None:
    """Asked again while trials are running, it proposes other networks."""
    of = sampler(make, space("constraints"))
    drive(of, 6)
    asked = [proposal for proposal in (of.ask() for _ in range(4)) if proposal]
    expect(len(set(keys(asked))) == 4, f"Of 4 networks, {len(set(keys(asked)))} are different.")


def a_continuous_range_is_searched_or_refused(make: Make) -> None:
    """It proposes different values of a continuous range, or making it raises an `InputError` that names the range."""
    # Once of an architecture, and once of a recipe, with axes of a kind of schedule.
    ranges: dict[str, AnySpace] = {"unit.shortcut.gate_bias": space("continuum"), "recipe.lr": recipes()}
    for path, where in ranges.items():
        try:
            of = sampler(make, where)
        except InputError as error:
            expect(path in str(error), f"It is refused with {error}; expected the name of the range, {path}.")
            continue
        asked, _ = drive(of, 8)
        values = {proposal.assignment[path] for proposal in asked}
        # The spaces have other axes too: a value can come again with another value of these.
        expect(len(values) > 4, f"8 proposals have {len(values)} distinct values of {path}; expected more than 4.")
        for proposal in asked:
            reason = where.feasible(where.point(proposal.assignment))
            expect(reason is None, f"In the space of {path}: {reason}.")


def all_objectives_are_accepted(make: Make) -> None:
    """It accepts one objective or three, costs only, and objectives that are known only after training."""
    for objectives in (("error",), ("macs",), ("error", "params", "latency_ms")):
        where = space("small")
        of = Sampler(where, make(where, objectives, 0))
        for _ in range(7):
            proposal = of.ask()
            if proposal is None:
                raise AssertionError(f"It proposes nothing for the objectives {', '.join(objectives)}.")
            known = {"error": 0.5, "latency_ms": 2.0 + proposal.number, "macs": 1e5, "params": 1e4}
            of.tell(proposal.number, Outcome("complete", tuple(known[name] for name in objectives)))


STRATEGY_LAWS: Laws[Make] = table(
    proposals_are_in_the_space,
    a_space_is_exhausted_without_repetition,
    the_same_seed_asks_for_the_same,
    another_seed_asks_for_others,
    proposals_depend_on_the_history_only,
    the_order_of_learning_does_not_matter,
    a_restored_search_asks_for_the_same,
    numbers_only_grow,
    several_seeds_of_a_network_are_learned,
    every_outcome_is_accepted,
    it_continues_if_no_trial_completes,
    concurrent_trials_are_different,
    a_continuous_range_is_searched_or_refused,
    all_objectives_are_accepted,
)


class _Watched:
    """A strategy that records its proposals."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy, self.proposed = strategy, list[Assignment]()

    def propose(self, number: int) -> Assignment | None:
        found = self.strategy.propose(number)
        if found is not None:
            self.proposed.append(found)
        return found

    def learn(self, proposal: Proposal, outcome: Outcome) -> None:
        self.strategy.learn(proposal, outcome)


def _history(make: Make, at_once: int) -> History:
    return drive(sampler(make, space("constraints")), 8, every_outcome_in_turn, at_once)[1]


def _taught(make: Make, history: History) -> Strategy:
    strategy = make(space("constraints"), OBJECTIVES, 0)
    for proposal, outcome in history:
        strategy.learn(proposal, outcome or Outcome("running"))
    return strategy


def _same(asked: list[Proposal], wanted: list[Proposal]) -> None:
    for one, other in zip(asked, wanted, strict=True):
        expect(one == other, f"As number {one.number} it asks for {one.assignment}; expected {other.assignment}.")
