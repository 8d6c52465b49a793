"""What every stopping rule keeps to: each law on examples that a generator of random numbers draws."""

from __future__ import annotations

from math import ceil, inf, nan
from random import Random

from resnet_space.testing.laws import Laws, check, expect, table
from search.samplers.stopping import HalvingKind, Rungs, StoppingKind, Values

EXAMPLES = 100
LOST: tuple[Values, ...] = ((nan, 1.0), (inf, 1.0), (-inf, 1.0), (nan, nan))
EPOCHS = 9

Case = tuple[StoppingKind, Random]
"""A rule, and what an example is drawn from."""


def check_stopping(rule: StoppingKind) -> None:
    """Check every law of `STOPPING_LAWS`, on `EXAMPLES` examples each.

    Raises:
        AssertionError: the first law that is broken, with what was found and what was expected.
    """
    for name, law in STOPPING_LAWS.items():
        for seed in range(EXAMPLES):
            check({name: law}, (rule, Random(seed)), repr(rule))


def it_is_read_back_as_it_was_written(case: Case) -> None:
    """Written as YAML and read back, the rule is equal."""
    rule, _ = case
    found = type(rule).from_yaml(rule.to_yaml())
    expect(found == rule, f"From YAML comes {found!r}.")


def rungs_are_distinct_epochs_before_the_last(case: Case) -> None:
    """Rungs are whole epochs in order, each once, and all before the last epoch."""
    rule, random = case
    epochs = random.randint(1, 300)
    rungs = rule.rungs(epochs)
    expect(
        list(rungs) == sorted(set(rungs)) and all(type(rung) is int and 1 <= rung < epochs for rung in rungs),
        f"Of {epochs} epochs the rungs are {rungs}.",
    )


def who_is_better_in_everything_is_never_stopped(case: Case) -> None:
    """A trial that dominates all that were at a rung before it goes on."""
    rule, random = case
    others = _trials(random)
    own = (-1.0,) * len(others[0] if others else (0, 0))
    expect(_went_on(rule, *others, own)[-1], f"After {others} it stops {own}.")


def who_is_worse_in_everything_is_stopped(case: Case) -> None:
    """A rule that halves stops a trial that is dominated by all, where as many as its reduction have come."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        others = _trials(random, least=ceil(rule.reduction))
        own = (7.0,) * len(others[0])
        expect(not _went_on(rule, *others, own)[-1], f"After {others} it lets {own} go on.")


def what_has_no_value_comes_last(case: Case) -> None:
    """NaN and infinities are behind every value, and ahead of none."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        others = _trials(random, least=ceil(rule.reduction), objectives=2)
        for lost in LOST:
            expect(not _went_on(rule, *others, lost)[-1], f"After {others} it lets {lost} go on.")
        for own in others:
            place, with_lost = rule.place(own, others), rule.place(own, [*others, (inf, -1.0)])
            expect(with_lost == place, f"Among {others} {own} has place {place}, and {with_lost} with (inf, -1).")


def who_came_first_is_ahead_of_its_equals(case: Case) -> None:
    """Of trials with the same values, those that came first are ahead."""
    rule, random = case
    if isinstance(rule, HalvingKind):
        own, *others = _trials(random, least=1)
        times = random.randint(1, 4)
        alone, found = rule.place(own, others), rule.place(own, [*others, *[own] * times])
        expect(found == alone + times, f"{own} has place {alone}, and {found} behind {times} like it.")


def the_order_of_the_others_does_not_count(case: Case) -> None:
    """The verdict on a trial is the same, in whatever order the others came."""
    rule, random = case
    own, *others = _trials(random, least=1)
    mixed = random.sample(others, len(others))
    one, other = rule.why_stopped(own, others), rule.why_stopped(own, mixed)
    expect(one == other, f"After {others} the verdict on {own} is {one!r}, and after {mixed} it is {other!r}.")


def restored_rungs_judge_as_if_undisturbed(case: Case) -> None:
    """With the first of the epochs restored in any order, the rest is judged as it would have been."""
    rule, random = case
    told = _trials(random, least=1)
    cut = random.randint(0, len(told))
    rows = [(str(number), epoch, values) for number, values in enumerate(told) for epoch in (1, 2, 3)]
    whole, resumed = (Rungs(rule, epochs=EPOCHS) for _ in range(2))
    verdicts = [whole.judge(*row) for row in rows]
    resumed.restore(random.sample(rows[: 3 * cut], 3 * cut))
    found = [resumed.judge(*row) for row in rows[3 * cut :]]
    expect(found == verdicts[3 * cut :], f"Of {told}, {cut} restored: {found}; expected {verdicts[3 * cut :]}.")


STOPPING_LAWS: Laws[Case] = table(
    it_is_read_back_as_it_was_written,
    rungs_are_distinct_epochs_before_the_last,
    who_is_better_in_everything_is_never_stopped,
    who_is_worse_in_everything_is_stopped,
    what_has_no_value_comes_last,
    who_came_first_is_ahead_of_its_equals,
    the_order_of_the_others_does_not_count,
    restored_rungs_judge_as_if_undisturbed,
)


def _trials(random: Random, least: int = 0, objectives: int | None = None) -> list[Values]:
    """Up to 20 trials' values; few distinct ones, so that ties are frequent."""
    m = objectives or random.randint(1, 4)
    return [tuple(float(random.randint(0, 6)) for _ in range(m)) for _ in range(random.randint(least, 20))]


def _went_on(rule: StoppingKind, *told: Values) -> list[bool]:
    """Who goes on at the first rung, told in this order."""
    rungs = Rungs(rule, epochs=10_000)
    rung = next(iter(rungs.recorded), 1)
    return [rungs.judge(str(number), rung, values) is None for number, values in enumerate(told)]
