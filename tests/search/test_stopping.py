"""Early stopping: who goes on at a rung, by one objective and by several, and that a restart changes no verdict."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space.errors import InputError
from search.stopping import STOPPING, Asha, Halving, MoAsha, NoStopping, saved

errors = st.floats(0, 1)
points = st.lists(st.tuples(errors, st.floats(1, 1e6)), min_size=1, max_size=30)


def verdicts(halving: Halving, values: list[tuple[float, ...]], epoch: int = 1) -> list[bool]:
    """Whether each of trials 0, 1, ... goes on, told in this order."""
    return [halving.judge(str(index), epoch, value) is None for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("grace", "reduction", "epochs", "rungs"),
    [(1, 3, 10, (1, 3, 9)), (1, 3, 9, (1, 3)), (2, 4, 100, (2, 8, 32)), (5, 3, 5, ()), (1, 1.5, 6, (1, 2, 3, 4))],
)
def test_rungs_are_powers_below_the_full_length(
    grace: int, reduction: float, epochs: int, rungs: tuple[int, ...]
) -> None:
    assert Asha(grace=grace, reduction=reduction).rungs(epochs) == rungs


@given(grace=st.integers(1, 20), reduction=st.floats(1.01, 10), epochs=st.integers(1, 300))
def test_rungs_rise_from_the_grace_and_end_before_the_last_epoch(grace: int, reduction: float, epochs: int) -> None:
    rungs = Asha(grace=grace, reduction=reduction).rungs(epochs)
    assert list(rungs) == sorted(set(rungs))
    assert all(grace <= rung < epochs for rung in rungs)


def test_without_a_rule_every_trial_goes_on() -> None:
    halving = Halving(NoStopping(), 9)
    assert all(verdicts(halving, [(1.0,)] * 10, epoch=epoch) for epoch in range(1, 10))


def test_a_rung_by_hand() -> None:
    """Until three have come everyone goes on; then the best third of those that came."""
    came = [(0.5,), (0.4,), (0.6,), (0.3,), (0.35,), (0.2,), (0.25,)]
    halving = Halving(Asha(reduction=3), 9)
    assert verdicts(halving, came) == [True, True, False, True, False, True, True]
    reason = halving.judge("4", 1, (0.35,))
    assert reason == "stopped at epoch 1 of 9: place 2 of 5 at this rung, the best 1 go on"


def test_several_objectives_by_hand() -> None:
    """Rank first; within the front the ends are loneliest. The last to come is dominated by the first."""
    came = [(0.5, 10.0), (0.1, 90.0), (0.3, 50.0)]
    assert MoAsha().place((0.6, 20.0), came) == 3
    assert MoAsha().place((0.05, 95.0), came) == 1, "one end of the front; the other is its equal"
    assert MoAsha().place((0.29, 60.0), came) == 3, "between two neighbours, where it is crowded"


@given(points)
def test_with_one_objective_both_rules_agree(values: list[tuple[float, float]]) -> None:
    distinct = [(error,) for error in dict.fromkeys(error for error, _ in values)]
    assert verdicts(Halving(Asha(), 9), distinct) == verdicts(Halving(MoAsha(), 9), distinct)


@pytest.mark.parametrize("rule", [Asha(), MoAsha()])
@given(values=points)
def test_one_that_beats_all_who_came_is_never_stopped(rule: Asha | MoAsha, values: list[tuple[float, float]]) -> None:
    halving = Halving(rule, 9)
    verdicts(halving, values)
    assert halving.judge("best", 1, (-1.0, 0.0)) is None


@pytest.mark.parametrize("rule", [Asha(reduction=2), MoAsha(reduction=2)])
@given(values=points)
def test_one_that_all_who_came_beat_is_stopped(rule: Asha | MoAsha, values: list[tuple[float, float]]) -> None:
    halving = Halving(rule, 9)
    verdicts(halving, values)
    assert halving.judge("worst", 1, (2.0, 1e9)) is not None


@pytest.mark.parametrize("rule", [Asha(), MoAsha()])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_comes_last(rule: Asha | MoAsha, bad: float) -> None:
    halving = Halving(rule, 9)
    assert verdicts(halving, [(0.5, 1.0), (0.9, 9.0), (bad, 1.0)]) == [True, True, False]
    assert Halving(rule, 9).judge("only", 1, (bad, 1.0)) is None, "nobody to compare with"


@pytest.mark.parametrize("rule", [Asha(), MoAsha()])
@given(values=points)
def test_told_again_a_trial_gets_the_same_verdict(rule: Asha | MoAsha, values: list[tuple[float, float]]) -> None:
    halving = Halving(rule, 9)
    first = verdicts(halving, values)
    assert verdicts(halving, [(0.0, 0.0)] * len(values)) == first


@pytest.mark.parametrize("rule", [Asha(), MoAsha()])
@given(values=points, later=points, order=st.randoms())
def test_restored_rungs_judge_who_comes_as_undisturbed_ones(
    rule: Asha | MoAsha, values: list[tuple[float, float]], later: list[tuple[float, float]], order: object
) -> None:
    """In any order, as long as no two have equal values: then the first to come is before its equal."""
    values = list(dict.fromkeys(values))
    later = [value for value in dict.fromkeys(later) if value not in values]
    one, other = Halving(rule, 9), Halving(rule, 9)
    verdicts(one, values)
    other.restore((str(index), 1, value) for index, value in enumerate(values))
    for index, value in enumerate(later):
        assert one.judge(f"later {index}", 1, value) == other.judge(f"later {index}", 1, value)


@given(points)
def test_from_the_full_rung_on_no_more_than_one_in_two_places_goes_on_at_a_time(
    values: list[tuple[float, float]],
) -> None:
    """The asynchronous rule bounds the place, not the number: who goes on was among the best half when it came."""
    halving = Halving(Asha(reduction=2), 9)
    for index, value in enumerate(values):
        goes_on = halving.judge(str(index), 1, value) is None
        ahead = sum(earlier[0] <= value[0] for earlier in values[:index])
        if index + 1 >= 2:
            assert goes_on == (ahead < (index + 1) // 2)


def test_epochs_between_rungs_stop_nobody() -> None:
    halving = Halving(Asha(grace=2, reduction=2), 9)
    for key, epoch in product("abc", (1, 3, 5, 9)):
        assert halving.judge(key, epoch, (1.0,)) is None


def test_what_was_saved_is_the_epochs_that_were_not_done() -> None:
    found = saved([9, 9, 1, 3, 1], 9)
    assert (found.done, found.full) == (23, 45)
    assert found.fraction == pytest.approx(22 / 45)
    assert saved([], 9).fraction == 0


@pytest.mark.parametrize("fields", [{"grace": 0}, {"reduction": 1}, {"grace": 1.5}, {"rungs": 3}])
def test_a_rule_that_cannot_be_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(fields))):
        Asha.of(fields)


def test_the_table_has_every_rule_by_its_kind() -> None:
    assert {name: cls().kind for name, cls in STOPPING.items()} == {name: name for name in STOPPING}  # type: ignore[attr-defined]
