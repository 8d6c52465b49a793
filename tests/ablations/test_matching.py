"""Arms of equal complexity: the nearest width, and networks that cannot be matched."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablations.matching import Match, match
from resnet_space import Architecture, InputError, preset
from resnet_space.counter import complexity

torch.set_num_threads(1)

RESNEXT = preset("resnext29_8x64d").assign({"width": 0.25, "input_shape": [1, 8, 8], "unit.branch.cardinality": 1})
BASE = RESNEXT.assign({"unit.branch.width": 64})
SMALL = preset("resnet20").assign({"width": 0.5, "input_shape": [1, 8, 8]})


def rule(**fields: Any) -> Match:
    return Match.of(fields)


@pytest.mark.parametrize("cardinality", [1, 2, 4, 8])
def test_splitting_into_groups_at_equal_macs_widens_the_bottleneck(cardinality: int) -> None:
    """Cardinalities as compared in 1611.05431, section 4: d decreases, C * d increases, the cost stays equal."""
    equal = rule(macs="baseline", by="unit.branch.width", tolerance=0.05)
    target = equal.target(BASE)
    net = match(RESNEXT.assign({"unit.branch.cardinality": cardinality}), target, equal, path="")
    assert abs(complexity(net).macs - target) <= 0.05 * target
    assert net.unit.branch.width % cardinality == 0
    assert (net.unit.branch.width, net.unit.branch.width // cardinality) == {
        1: (64, 64),
        2: (86, 43),
        4: (116, 29),
        8: (152, 19),
    }[cardinality]


def test_nothing_but_the_width_of_the_bottleneck_changes() -> None:
    equal = rule(macs="baseline", by="unit.branch.width", tolerance=0.05)
    net = RESNEXT.assign({"unit.branch.cardinality": 4, "unit.order": "full_preactivation"})
    same = match(net, equal.target(BASE), equal, path="")
    assert same == net.assign({"unit.branch.width": same.unit.branch.width})


def test_a_net_within_the_tolerance_is_unchanged() -> None:
    near = round(complexity(SMALL).macs * 1.01)
    assert match(SMALL, near, rule(macs=near), path="") is SMALL


def test_the_baseline_is_its_own_match() -> None:
    equal = rule(params="baseline", tolerance=0)
    assert match(SMALL, equal.target(SMALL), equal, path="") is SMALL


@pytest.mark.parametrize("measure", ["macs", "params"])
@pytest.mark.parametrize("times", [0.3, 0.7, 3])
def test_a_match_is_the_nearest_of_all_widths(measure: str, times: float) -> None:
    target = round(getattr(complexity(SMALL), measure) * times)
    near = match(SMALL, target, rule(**{measure: target, "tolerance": 0.25}), path="")

    def off(net: Architecture) -> int:
        return abs(getattr(complexity(net), measure) - target)

    assert off(near) == min(off(SMALL.assign({"width": channels / 8})) for channels in range(1, 18))
    assert near == SMALL.assign({"width": near.stages[0].channels / 8})


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 17))
def test_matching_a_widened_net_gives_the_original(channels: int) -> None:
    wider = SMALL.assign({"width": channels / 8})
    for measure in ("macs", "params"):
        equal = rule(**{measure: "baseline", "tolerance": 0})
        assert match(SMALL, equal.target(wider), equal, path="") == wider


def test_widths_that_groups_do_not_divide_are_skipped() -> None:
    net = preset("resnext29_8x64d").assign({"width": 0.25, "input_shape": [1, 8, 8]})
    cost = complexity(net).macs
    same = match(net, cost // 2, rule(macs=cost // 2, tolerance=0.2), path="")
    assert same.unit.branch.cardinality == 8
    assert same.unit.branch.width % 8 == 0
    assert same.stages[0].channels < net.stages[0].channels


def test_a_target_between_two_widths_is_refused_with_the_nearest() -> None:
    below, above = (complexity(SMALL.assign({"width": channels / 8})).macs for channels in (10, 11))
    target = (2 * below + above) // 3
    with pytest.raises(InputError) as error:
        match(SMALL, target, rule(macs=target), path="arms.wide")
    assert str(error.value) == (
        f"arms.wide: cannot be matched to {target:,} macs within 2 %: the nearest has {below:,} (width 1.25)"
    )


def test_a_target_below_the_narrowest_and_beyond_the_widest_is_refused() -> None:
    with pytest.raises(InputError, match=r"the nearest has [\d,]+ \(width 0\.125\)"):
        match(SMALL, 100, rule(params=100), path="arms.a")
    tiny = preset("resnet20").assign({"width": 1 / 16, "input_shape": [1, 8, 8]})
    with pytest.raises(InputError, match=r"the nearest has [\d,]+ \(width 16\)"):
        match(tiny, 10**12, rule(params=1e12), path="arms.a")


def test_a_branch_without_width_is_matched_by_the_net_s_width_only() -> None:
    with pytest.raises(InputError) as error:
        match(SMALL, 10, rule(macs=10, by="unit.branch.width"), path="arms.a")
    assert str(error.value) == ("arms.a: cannot be matched by unit.branch.width: basic has no width; use by: width")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give exactly one of macs and params, as in {macs: baseline}"),
        ({"macs": "baseline", "params": 5}, "give exactly one of macs and params, as in {macs: baseline}"),
        ({"macs": "basline"}, "macs: unknown target 'basline'; did you mean 'baseline'? allowed: baseline, a number"),
        ({"macs": True}, "macs: must be baseline or a number, not True"),
        ({"params": 0}, "params: must be at least 1, not 0"),
        (
            {"macs": 5, "by": "widht"},
            "by: unknown by 'widht'; did you mean 'width'? allowed: width, unit.branch.width",
        ),
        ({"macs": 5, "tolerance": 1}, "tolerance: must be less than 1, not 1"),
    ],
)
def test_a_wrong_match_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Match.of(fields)
    assert str(error.value) == message


def test_a_number_is_the_target_for_every_baseline() -> None:
    assert rule(macs=5e6).target(SMALL) == 5_000_000
    assert rule(params="baseline").target(SMALL) == complexity(SMALL).params
