"""What every strategy keeps to, whatever it is."""

from __future__ import annotations

from itertools import product

from resnet_space.dependence import Assignment
from resnet_space.errors import InputError
from resnet_space.testing.laws import Laws, check, expect, table
from search.samplers.sampler import Outcome, Proposal, Sampler, Strategy
from search.testing.searches import OBJECTIVES, History, Make, badly, drive, keys, sampler, space


def check_strategy(make: Make, *, seeded: bool = True) -> None:
    """Check every law of `STRATEGY_LAWS`.

    `make` gives a strategy that knows nothing yet, of a space, the objectives' names and a seed, as the method
    `strategy` of a `SamplerKind` does. One that draws some networks first should draw few: the spaces have 12 to 24.
    `seeded` says whether another seed is to ask for other networks.

    Raises:
        AssertionError: the first law that is broken, with what was found and what was expected.
    """
    laws = {name: law for name, law in STRATEGY_LAWS.items() if seeded or law is not another_seed_asks_for_others}
    check(laws, make, "the strategy")


def proposals_are_of_the_space(make: Make) -> None:
    """A proposal has a value for every axis that counts, each one of the axis's, and what comes of it is allowed."""
    for name in ("small", "conditions", "constraints"):
        where = space(name)
        watched = _Watched(make(where, OBJECTIVES, 0))
        asked, _ = drive(Sampler(where, watched), 9)
        for proposed in watched.proposed:
            try:
                where.suggest(lambda path, _: proposed[path])  # noqa: B023
            except (InputError, KeyError) as error:
                raise AssertionError(f"In the space {name!r} it proposes {proposed}: {error}.") from error
        expect(len(asked) == 9, f"In the space {name!r} {len(asked)} came; expected 9.")
        listed = list(where.assignments())
        for proposal in asked:
            reason = where.feasible(proposal.net)
            expect(reason is None, f"In the space {name!r}: {reason}.")
            # As the space writes it: every axis that counts, and no other.
            expect(proposal.assignment in listed, f"The space {name!r} has no {proposal.assignment}.")
            expect(where.architecture(proposal.assignment).key == proposal.net.key, "It is another network's.")


def an_exhausted_space_was_asked_for_once_each(make: Make) -> None:
    """Asked until nothing is left, it has asked for every network of the space, each once."""
    for name in ("small", "conditions"):
        asked, _ = drive(sampler(make, space(name)), 1000)
        wanted = sorted(net.key for net in space(name).enumerate())
        expect(sorted(keys(asked)) == wanted, f"In the space {name!r}, of {len(wanted)} it asked for {len(asked)}.")


def the_same_seed_asks_for_the_same(make: Make) -> None:
    """Two searches with one seed, and the same ends of trials, ask for the same networks."""
    one, other = (drive(sampler(make, space("constraints")), 9) for _ in range(2))
    _same(one[0], other[0])
    expect(one == other, "The histories differ.")


def another_seed_asks_for_others(make: Make) -> None:
    """Two strategies with different seeds do not ask for the same networks in the same order."""
    where = space("constraints")
    one, other = (drive(Sampler(where, make(where, OBJECTIVES, seed)), 10)[0] for seed in (0, 1))
    expect(keys(one) != keys(other), "Seeds 0 and 1 ask for the same 10.")


def it_is_a_function_of_what_it_learned(make: Make) -> None:
    """Asked twice for the same number, with nothing learned between, it proposes the same."""
    strategy = _taught(make, _history(make, at_once=1))
    one, other = strategy.propose(20), strategy.propose(20)
    expect(one == other, f"First it proposes {one}, then {other}.")


def the_order_of_learning_does_not_count(make: Make) -> None:
    """What was learned in another order leads to the same proposal."""
    history = _history(make, at_once=3)
    one, other = (_taught(make, learned).propose(20) for learned in (history, history[::-1]))
    expect(one == other, f"In order it proposes {one}, in reverse {other}.")


def a_restored_search_goes_on_as_if_undisturbed(make: Make) -> None:
    """A search that is restored from its history asks for what it would have asked for."""
    for stop, at_once in product((3, 8), (1, 3)):
        undisturbed = sampler(make, space("constraints"))
        _, history = drive(undisturbed, stop, badly, at_once)
        restored = sampler(make, space("constraints"))
        # The store gives them back in an order of its own.
        restored.restore(reversed(history))
        (asked, ends), (wanted, right) = (drive(each, 3, badly) for each in (restored, undisturbed))
        _same(asked, wanted)
        expect(ends == right, "The histories differ.")


def numbers_only_grow(make: Make) -> None:
    """Each proposal has a number of its own, and after a restart the next one is larger."""
    of = sampler(make, space("constraints"))
    _, history = drive(of, 6)
    numbers = [proposal.number for proposal, _ in history]
    expect(len(set(numbers)) == len(numbers), f"Some of {numbers} are there twice.")
    again = sampler(make, space("constraints"))
    again.restore(history)
    proposal = again.ask()
    expect(proposal is not None and proposal.number > max(numbers), f"After {numbers} comes {proposal}.")


def several_seeds_of_a_network_are_learned(make: Make) -> None:
    """Where every network is trained with two seeds, it is told of both, and goes on."""
    asked, _ = drive(sampler(make, space("small"), replicates=2), 8)
    expect([proposal.seed for proposal in asked] == [0, 1] * 4, f"The seeds are {[each.seed for each in asked]}.")
    expect(len(set(keys(asked))) == 4, f"They are those of {len(set(keys(asked)))} networks; expected 4.")


def any_end_of_a_trial_will_do(make: Make) -> None:
    """Trials that are pruned, that diverge, fail or break a constraint stop no search."""
    asked, _ = drive(sampler(make, space("constraints")), 11, badly)
    expect(len(set(keys(asked))) == 11, f"{len(set(keys(asked)))} networks came; expected 11.")


def it_goes_on_where_nothing_ever_completes(make: Make) -> None:
    """Where every trial diverges, all networks of the space are asked for."""
    asked, _ = drive(sampler(make, space("small")), 12, lambda _: Outcome("diverged"))
    expect(len(asked) == 12, f"{len(asked)} came; expected 12.")


def trials_that_run_at_a_time_are_different(make: Make) -> None:
    """Asked again before the first has ended, it answers with another network."""
    of = sampler(make, space("constraints"))
    drive(of, 6)
    asked = [proposal for proposal in (of.ask() for _ in range(4)) if proposal]
    expect(len(set(keys(asked))) == 4, f"Of 4, {len(set(keys(asked)))} are different.")


def a_continuum_is_searched_or_refused(make: Make) -> None:
    """In a continuous range it finds different values, or an `InputError` from the beginning names the range."""
    where, path = space("continuum"), "unit.shortcut.gate_bias"
    try:
        of = sampler(make, where)
    except InputError as error:
        expect(path in str(error), f"It is refused by {error}; expected the name of the range, {path}.")
        return
    values = {proposal.assignment[path] for proposal in drive(of, 8)[0]}
    expect(len(values) == 8, f"8 proposals have {len(values)} values.")


def any_objectives_will_do(make: Make) -> None:
    """It takes one objective or three, costs alone, and one that is known after training only."""
    for objectives in (("error",), ("macs",), ("error", "params", "latency_ms")):
        where = space("small")
        of = Sampler(where, make(where, objectives, 0))
        for _ in range(7):
            proposal = of.ask()
            if proposal is None:
                raise AssertionError(f"Nothing comes where the objectives are {', '.join(objectives)}.")
            known = {"error": 0.5, "latency_ms": 2.0 + proposal.number, "macs": 1e5, "params": 1e4}
            of.tell(proposal.number, Outcome("complete", tuple(known[name] for name in objectives)))


STRATEGY_LAWS: Laws[Make] = table(
    proposals_are_of_the_space,
    an_exhausted_space_was_asked_for_once_each,
    the_same_seed_asks_for_the_same,
    another_seed_asks_for_others,
    it_is_a_function_of_what_it_learned,
    the_order_of_learning_does_not_count,
    a_restored_search_goes_on_as_if_undisturbed,
    numbers_only_grow,
    several_seeds_of_a_network_are_learned,
    any_end_of_a_trial_will_do,
    it_goes_on_where_nothing_ever_completes,
    trials_that_run_at_a_time_are_different,
    a_continuum_is_searched_or_refused,
    any_objectives_will_do,
)


class _Watched:
    """A strategy, and what it proposed."""

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
    return drive(sampler(make, space("constraints")), 8, badly, at_once)[1]


def _taught(make: Make, history: History) -> Strategy:
    strategy = make(space("constraints"), OBJECTIVES, 0)
    for proposal, outcome in history:
        strategy.learn(proposal, outcome or Outcome("running"))
    return strategy


def _same(asked: list[Proposal], wanted: list[Proposal]) -> None:
    for one, other in zip(asked, wanted, strict=True):
        expect(one == other, f"As number {one.number} it asks for {one.assignment}; expected {other.assignment}.")
