"""Early stopping: the laws of rungs in any order of trials, and examples computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations
from math import ceil, inf
from random import Random
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from resnet_space.errors import InputError
from search.samplers.stopping import (
    STOPPING,
    AnyStopping,
    Asha,
    HalvingKind,
    MoAsha,
    NoStopping,
    Rungs,
    Saved,
    StoppingKind,
    Values,
    saved,
)
from search.testing import STOPPING_LAWS

quick = settings(deadline=None)
RULES = [rule for rule in STOPPING.values() if issubclass(rule, HalvingKind)]
REDUCTIONS = st.sampled_from([1.1, 1.5, 2.0, 2.5, 3.0, 4.0])
COORDINATES = st.integers(0, 6).map(float)
"""Few distinct values, so that ties are frequent."""


@st.composite
def trials(draw: st.DrawFn, least: int = 0, most: int = 20, objectives: int | None = None) -> list[Values]:
    m = objectives or draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(*[COORDINATES] * m), min_size=least, max_size=most))


def rung(rule: Asha | MoAsha, *told: Values) -> list[bool]:
    """Return which trials continue after epoch 1, if they reach it in this order."""
    rungs = Rungs(rule, epochs=9)
    return [rungs.judge(str(number), 1, values) is None for number, values in enumerate(told)]


def errors(*told: float) -> list[Values]:
    return [(error,) for error in told]


@pytest.mark.parametrize(
    ("rule", "epochs", "rungs"),
    [
        (Asha(grace=1, reduction=3), 9, (1, 3)),
        (Asha(grace=1, reduction=3), 10, (1, 3, 9)),
        (MoAsha(grace=8, reduction=3), 200, (8, 24, 72)),
        (Asha(grace=2, reduction=4), 128, (2, 8, 32)),
        (Asha(grace=4, reduction=2.5), 100, (4, 10, 25, 62)),
        (Asha(grace=9, reduction=3), 9, ()),
        (Asha(), 1, ()),
        (NoStopping(), 200, ()),
    ],
)
def test_rungs_are_grace_times_powers_of_reduction_before_the_last_epoch(
    rule: StoppingKind, epochs: int, rungs: tuple[int, ...]
) -> None:
    assert rule.rungs(epochs) == rungs


@quick
@given(grace=st.integers(1, 30), reduction=st.floats(1, 10, exclude_min=True), epochs=st.integers(1, 300))
def test_rungs_begin_with_the_grace(grace: int, reduction: float, epochs: int) -> None:
    rungs = Asha(grace=grace, reduction=reduction).rungs(epochs)
    assert rungs[:1] == ((grace,) if grace < epochs else ())


@pytest.mark.parametrize("law", STOPPING_LAWS)
@pytest.mark.parametrize("rule", STOPPING.values())
@quick
@given(random=st.randoms(use_true_random=False), grace=st.integers(1, 30), reduction=REDUCTIONS)
def test_a_rule_satisfies_the_law(
    rule: type[StoppingKind], law: str, random: Random, grace: int, reduction: float
) -> None:
    fields = {"grace": grace, "reduction": reduction} if issubclass(rule, HalvingKind) else {}
    STOPPING_LAWS[law]((rule.of(fields), random))


def test_seven_errors_at_a_rung_computed_by_hand() -> None:
    """Reduction 3: of 3, 4 or 5 trials 1 continues, of 6 or 7 trials 2.

    0.5 and 0.4 arrive before there are 3 trials. 0.6 is 3rd of 3, 0.3 is 1st of 4, 0.35 is 2nd of 5 (stopped), 0.32 is
    2nd of 6, 0.33 is 3rd of 7.
    """
    assert rung(Asha(reduction=3), *errors(0.5, 0.4, 0.6, 0.3, 0.35, 0.32, 0.33)) == [
        True,
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_errors_and_costs_at_a_rung_computed_by_hand() -> None:
    """Reduction 2: of 2 or 3 trials 1 continues, of 4 or 5 trials 2, of 6 trials 3. Values are (error, MMACs).

    b (0.4, 10) has the same crowding distance as a (0.1, 40), which came first: 2nd of 2, stopped. c (0.3, 45) is
    dominated by a: 3rd of 3, stopped. d (0.15, 20) is on the first front between its ends a and b, whose distances are
    infinite: 3rd of 4, stopped. e (0.05, 50) becomes the end instead of a: with b before it, 2nd of 5. f (0.09, 41) is
    on the front e f a d b, whose distances (errors over 0.35, plus MMACs over 40) are d 0.3/0.35 + 30/40 = 1.61,
    a 0.06/0.35 + 21/40 = 0.70, f 0.05/0.35 + 10/40 = 0.39: after e, b, d and a, 5th of 6, stopped.
    """
    a, b, c, d, e, f = (0.1, 40.0), (0.4, 10.0), (0.3, 45.0), (0.15, 20.0), (0.05, 50.0), (0.09, 41.0)
    rule = MoAsha(reduction=2)
    assert rung(rule, a, b, c, d, e, f) == [True, False, False, False, True, False]
    assert [rule.place(own, others) for own, others in [(c, [a, b]), (d, [a, b, c]), (e, [a, b, c, d])]] == [2, 2, 1]
    assert rule.place(f, [a, b, c, d, e]) == 4


def test_the_reason_gives_the_trials_place_and_how_many_continue() -> None:
    rungs = Rungs(Asha(reduction=3), epochs=9)
    for number, error in enumerate([0.1, 0.2, 0.3, 0.5, 0.6]):
        rungs.judge(str(number), 3, (error,))
    assert rungs.judge("late", 3, (0.4,)) == ("stopped at epoch 3 of 9: place 4 of 6 at this rung; the best 2 continue")


def test_an_epoch_that_is_not_a_rung_never_stops_a_trial_and_is_not_recorded() -> None:
    rungs = Rungs(Asha(reduction=3), epochs=9)
    for epoch in (2, 4, 8, 9):
        for number in range(20):
            assert rungs.judge(str(number), epoch, (number / 20,)) is None
    assert rungs.judge("worst", 3, (1.0,)) is None, "the first at a rung"


def test_each_rung_counts_its_own_trials() -> None:
    rungs = Rungs(Asha(reduction=2), epochs=9)
    assert rungs.judge("a", 1, (0.1,)) is None
    assert rungs.judge("b", 1, (0.2,)) is not None
    assert rungs.judge("c", 2, (0.3,)) is None, "the first there"


def test_without_stopping_all_trials_continue() -> None:
    rungs = Rungs(NoStopping(), epochs=9)
    assert all(rungs.judge(str(n), epoch, (n,)) is None for n in range(9) for epoch in range(1, 10))


@quick
@given(told=trials(objectives=1), reduction=REDUCTIONS)
def test_with_one_objective_mo_asha_is_asha(told: list[Values], reduction: float) -> None:
    assert rung(MoAsha(reduction=reduction), *told) == rung(Asha(reduction=reduction), *told)


@quick
@given(told=trials(objectives=3), reduction=REDUCTIONS)
def test_asha_uses_the_error_only(told: list[Values], reduction: float) -> None:
    assert rung(Asha(reduction=reduction), *told) == rung(Asha(reduction=reduction), *[values[:1] for values in told])


@pytest.mark.parametrize("rule", RULES)
@quick
@given(told=trials(), reduction=REDUCTIONS, data=st.data())
def test_a_trial_judged_again_gets_the_same_verdict(
    rule: type[Asha | MoAsha], told: list[Values], reduction: float, data: st.DataObject
) -> None:
    rungs = Rungs(rule(reduction=reduction), epochs=9)
    first = [rungs.judge(str(number), 1, values) for number, values in enumerate(told)]
    for number in data.draw(st.permutations(range(len(told)))):
        assert rungs.judge(str(number), 1, data.draw(st.sampled_from(told))) == first[number]
    rungs.restore((str(number), 1, values) for number, values in enumerate(told))
    assert [rungs.judge(str(number), 1, values) for number, values in enumerate(told)] == first


def test_a_trial_that_continued_before_a_restart_continues_after_it() -> None:
    rungs = Rungs(Asha(reduction=2), epochs=9)
    rungs.restore([("better", 1, (0.1,)), ("best", 1, (0.0,)), ("early", 1, (0.9,))])
    assert rungs.judge("early", 1, (0.9,)) is None
    assert rungs.judge("late", 1, (0.9,)) is not None


@pytest.mark.parametrize("rule", RULES)
@quick
@given(told=trials(least=1, objectives=1), reduction=REDUCTIONS)
def test_in_any_order_the_first_trials_and_each_new_best_continue(
    rule: type[Asha | MoAsha], told: list[Values], reduction: float
) -> None:
    """There is no other bound on how many continue: if each trial is better than the one before, all continue."""
    went_on = rung(rule(reduction=reduction), *told)
    free = ceil(reduction) - 1
    assert all(went_on[:free])
    assert all(went_on[n] for n in range(1, len(told)) if told[n] < min(told[:n]))
    assert all(rung(rule(reduction=reduction), *sorted(set(told), reverse=True)))
    assert sum(rung(rule(reduction=reduction), *sorted(told))) == min(free, len(told))


@pytest.mark.parametrize("reduction", [2.0, 2.5, 3.0])
def test_over_all_orders_the_nth_trial_continues_in_floor_n_over_reduction_of_n_cases(reduction: float) -> None:
    orders = list(permutations(errors(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)))
    went_on = [sum(column) for column in zip(*(rung(Asha(reduction=reduction), *o) for o in orders), strict=True)]
    shares = [Fraction(number, len(orders)) for number in went_on]
    assert shares == [Fraction(1) if n < reduction else Fraction(int(n / reduction), n) for n in range(1, 7)]


def test_rounding_of_the_quotient_does_not_reduce_how_many_continue() -> None:
    """33 / 1.1 is 29.999999999999996 in floating point; 30 continue."""
    better, worse = [(n / 100,) for n in range(29)], [(0.9,), (0.9,), (0.9,)]
    assert rung(Asha(reduction=1.1), *better, *worse, (0.5,))[-1]
    assert not rung(Asha(reduction=1.1), *better, (0.4,), *worse[:2], (0.5,))[-1]


@pytest.mark.parametrize("kind", STOPPING)
class TestEveryRule:
    @quick
    @given(st.integers(1, 300))
    def test_judges_at_epochs_in_order_and_before_the_last(self, kind: str, epochs: int) -> None:
        rungs = STOPPING[kind]().rungs(epochs)
        assert list(rungs) == sorted(set(rungs))
        assert all(1 <= rung < epochs for rung in rungs)

    @quick
    @given(trials(least=1), st.randoms())
    def test_does_not_depend_on_the_order_of_the_others(self, kind: str, told: list[Values], random: Any) -> None:
        own, *others = told
        shuffled = random.sample(others, len(others))
        assert STOPPING[kind]().why_stopped(own, others) == STOPPING[kind]().why_stopped(own, shuffled)

    @quick
    @given(trials(least=1))
    def test_gives_its_reason_in_one_line(self, kind: str, told: list[Values]) -> None:
        why = STOPPING[kind]().why_stopped(told[0], told[1:])
        assert why is None or (why.strip() == why != "" and "\n" not in why)


class AboveMedian(StoppingKind):
    """A rule without halving: at epoch 2, stop above the median error of earlier trials. Golovin et al. 2017."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        return (2,)

    def why_stopped(self, own: Values, others: Sequence[Values]) -> str | None:
        if not others or own[0] <= (middle := median(values[0] for values in others)):
            return None
        return f"error {own[0]:g} is above the median, {middle:g}"


def test_a_rule_does_not_need_to_be_a_halving_rule() -> None:
    rungs = Rungs(AboveMedian(), epochs=9)
    assert [rungs.judge(str(n), 2, (error,)) for n, error in enumerate([0.5, 0.3, 0.4, 0.6])] == [
        None,
        None,
        None,
        "stopped at epoch 2 of 9: error 0.6 is above the median, 0.4",
    ]


@pytest.mark.parametrize("kind", STOPPING)
def test_every_rule_can_be_given_by_its_name_alone(kind: str) -> None:
    adapter: TypeAdapter[StoppingKind] = TypeAdapter(AnyStopping)
    rule = adapter.validate_python(kind)
    assert type(rule) is STOPPING[kind]
    assert adapter.validate_python(rule.to_dict()) == rule == STOPPING[kind]()


def test_the_defaults_are_those_of_the_paper() -> None:
    assert (Asha().grace, Asha().reduction) == (MoAsha().grace, MoAsha().reduction) == (1, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grace": 0}, "grace: must be at least 1, not 0"),
        ({"grace": 1.5}, "grace: must be a whole number, not 1.5"),
        ({"reduction": 1}, "reduction: must be greater than 1, not 1"),
        ({"reduction": inf}, "reduction: must be a finite number, not inf"),
        ({"gace": 2}, "gace: unknown field 'gace'; did you mean 'grace'? allowed: grace, reduction, kind"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_the_error_for_a_wrong_rule_says_what_is_wrong(
    rule: type[Asha | MoAsha], fields: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        rule.of(fields)
    assert str(caught.value) == message


def test_an_unknown_rule_is_refused() -> None:
    adapter: TypeAdapter[StoppingKind] = TypeAdapter(AnyStopping)
    with pytest.raises(ValidationError, match=", ".join(map(repr, STOPPING))):
        adapter.validate_python("median")


def test_savings_are_the_epochs_that_were_not_trained() -> None:
    found = saved([1, 1, 1, 3, 9, 9], 9)
    assert found == Saved(done=24, full=54)
    assert found.fraction == pytest.approx(30 / 54)


def test_nothing_is_saved_if_nothing_was_started_or_all_was_trained() -> None:
    assert saved([], 9).fraction == 0
    assert saved([9, 9], 9).fraction == 0
