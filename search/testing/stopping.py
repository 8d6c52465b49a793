"""Laws that every stopping rule satisfies, each checked on random examples."""

from __future__ import annotations

from math import ceil, inf, nan
from random import Random

from resnet_space.testing.laws import Laws, check, expect, table
from search.samplers.stopping import HalvingKind, Rungs, StoppingKind, Values

EXAMPLES = 100
LOST: tuple[Values, ...] = ((nan, 1.0), (inf, 1.0), (-inf, 1.0), (nan, nan))
EPOCHS = 9

Case = tuple[StoppingKind, Random]
"""A rule, and the random generator that an example is drawn with."""


def check_stopping(rule: StoppingKind) -> None:
    """Check every law of `STOPPING_LAWS` on `EXAMPLES` examples each.

    Raises:
        AssertionError: the first law that is broken, with what was found and what was expected.
    """
    for name, law in STOPPING_LAWS.items():
        for seed in range(EXAMPLES):
            check({name: law}, (rule, Random(seed)), repr(rule))


def written_and_read_back_it_is_equal(case: Case) -> None:
    """Written as YAML and read back, the rule is equal."""
    rule, _ = case
    found = type(rule).from_yaml(rule.to_yaml())
    expect(found == rule, f"Read back from YAML, it is {found!r}.")


def rungs_are_distinct_epochs_before_the_last(case: Case) -> None:
    """Rungs are distinct integer epochs in ascending order, all before the last epoch."""
    rule, random = case
    epochs = random.randint(1, 300)
    rungs = rule.rungs(epochs)
    expect(
        list(rungs) == sorted(set(rungs)) and all(type(rung) is int and 1 <= rung < epochs for rung in rungs),
        f"For {epochs} epochs the rungs are {rungs}.",
    )


def the_best_trial_is_never_stopped(case: Case) -> None:
    """A trial that dominates all earlier trials at a rung continues."""
    rule, random = case
    others = _trials(random)
    own = (-1.0,) * len(others[0] if others else (0, 0))
    expect(_continued(rule, *others, own)[-1], f"After {others} it stops {own}.")


def the_worst_trial_is_stopped(case: Case) -> None:
    """A halving rule stops a trial that all others dominate, once at least `reduction` others have reached the rung."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        others = _trials(random, least=ceil(rule.reduction))
        own = (7.0,) * len(others[0])
        expect(not _continued(rule, *others, own)[-1], f"After {others} it does not stop {own}.")


def non_finite_values_rank_last(case: Case) -> None:
    """NaN and infinities rank after every finite value."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        others = _trials(random, least=ceil(rule.reduction), objectives=2)
        for lost in LOST:
            expect(not _continued(rule, *others, lost)[-1], f"After {others} it does not stop {lost}.")
        for own in others:
            place, with_lost = rule.place(own, others), rule.place(own, [*others, (inf, -1.0)])
            expect(with_lost == place, f"Among {others} {own} has place {place}, but {with_lost} with (inf, -1).")


def of_equal_trials_the_first_ranks_first(case: Case) -> None:
    """Of trials with the same values, those that reached the rung first rank first."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        own, *others = _trials(random, least=1)
        times = random.randint(1, 4)
        alone, found = rule.place(own, others), rule.place(own, [*others, *[own] * times])
        expect(found == alone + times, f"{own} has place {alone}, and place {found} after {times} equal ones.")


def the_order_of_the_others_does_not_matter(case: Case) -> None:
    """The verdict on a trial does not depend on the order in which the others reached the rung."""
    rule, random = case
    own, *others = _trials(random, least=1)
    mixed = random.sample(others, len(others))
    one, other = rule.why_stopped(own, others), rule.why_stopped(own, mixed)
    expect(one == other, f"After {others} the verdict on {own} is {one!r}, and after {mixed} it is {other!r}.")


def restored_rungs_give_the_same_verdicts(case: Case) -> None:
    """After the first epochs are restored in any order, the others get the verdicts of an uninterrupted search."""
    rule, random = case
    reported = _trials(random, least=1)
    cut = random.randint(0, len(reported))
    rows = [(str(number), epoch, values) for number, values in enumerate(reported) for epoch in (1, 2, 3)]
    uninterrupted, resumed = (Rungs(rule, epochs=EPOCHS) for _ in range(2))
    verdicts = [uninterrupted.judge(*row) for row in rows]
    resumed.restore(random.sample(rows[: 3 * cut], 3 * cut))
    found = [resumed.judge(*row) for row in rows[3 * cut :]]
    expect(found == verdicts[3 * cut :], f"Of {reported}, {cut} restored: {found}; expected {verdicts[3 * cut :]}.")


STOPPING_LAWS: Laws[Case] = table(
    written_and_read_back_it_is_equal,
    rungs_are_distinct_epochs_before_the_last,
    the_best_trial_is_never_stopped,
    the_worst_trial_is_stopped,
    non_finite_values_rank_last,
    of_equal_trials_the_first_ranks_first,
    the_order_of_the_others_does_not_matter,
    restored_rungs_give_the_same_verdicts,
)


def _trials(random: Random, least: int = 0, objectives: int | None = None) -> list[Values]:
    """Return the values of up to 20 trials, with few distinct values so that ties are frequent."""
    m = objectives or random.randint(1, 4)
    return [tuple(float(random.randint(0, 6)) for _ in range(m)) for _ in range(random.randint(least, 20))]


def _continued(rule: StoppingKind, *reported: Values) -> list[bool]:
    """Return which trials continue after the first rung, if they reach it in this order."""
    halving = Rungs(rule, epochs=10_000)
    rung = next(iter(halving.recorded), 1)
    return [halving.judge(str(number), rung, values) is None for number, values in enumerate(reported)]
