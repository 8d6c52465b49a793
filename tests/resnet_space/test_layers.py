"""Layers as text: the chains and costs that texts give, and the errors of wrong texts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import Architecture, InputError, complexity
from resnet_space.chain_text import map_channels, parse_chain
from resnet_space.layers import (
    Convolution,
    Parallel,
    Pool,
    chain_text,
    convolutions,
    depth,
    out_channels,
    out_size,
)

NET = {"input_shape": [1, 8, 8], "stages": [{"units": 1, "channels": 8}], "transition": "B"}


def written(layers, **stage):
    unit = {"branch": {"kind": "written", "layers": layers}}
    return Architecture.of(NET | {"stages": [{"units": 2, "channels": 8, **stage}], "unit": unit})


def test_text_gives_convolutions_poolings_and_paths():
    chain = parse_chain("3x3/2 valid 32, [max 3x3 | 1x7 16 in 2 groups, avg 3x3], 1x1 8 linear", 3)
    assert chain == (
        Convolution((3, 3), 3, 32, stride=2, valid=True),
        Parallel(((Pool("max", (3, 3)),), (Convolution((1, 7), 32, 16, groups=2), Pool("avg", (3, 3))))),
        Convolution((1, 1), 48, 8, linear=True),
    )


def test_c_is_the_stages_channels_and_s_its_stride():
    (first, second) = parse_chain("3x3/s c/4, 1x1 3*c/2", 8, channels=16, stride=2)
    assert (first.channels, first.stride, second.channels) == (4, 2, 24)
    strides = [unit.chain[0].stride for unit in written("3x3/s c", stride=2).blueprint.units]
    assert strides == [2, 1]


def test_written_widths_and_fractions_of_c_scale_with_the_net():
    net = written("[1x1 4 | 1x1 4, 3x3 12], 1x1 c linear").assign({"width": 2})
    assert net.unit.branch.layers == "[1x1 8 | 1x1 8, 3x3 24], 1x1 c linear"
    assert net.blueprint.units[0].chain[-1].channels == 16


def test_depth_is_that_of_the_longest_path():
    chain = parse_chain("1x1 4, [3x3 4 | 3x3 4, 3x3 4, [1x3 2 | 3x1 2] | avg 3x3], 1x1 8", 3)
    assert depth(chain) == 1 + 3 + 1
    assert len([*convolutions(chain)]) == 7


names = st.sampled_from(["1x1", "3x3", "1x7", "7x1", "5x3"])
layers = st.deferred(
    lambda: st.one_of(
        st.builds("{} {}".format, names, st.integers(1, 99)),
        st.builds("{}/2 {} linear".format, names, st.integers(1, 99)),
        st.builds("{} {} {}".format, names, st.just("valid"), st.integers(1, 99)),
        st.builds("{} {}".format, st.sampled_from(["max", "avg"]), names),
        st.lists(chains, min_size=1, max_size=3).map(lambda paths: f"[{' | '.join(paths)}]"),
    )
)
chains = st.lists(layers, min_size=1, max_size=3).map(", ".join)


@given(chains)
def test_the_text_of_a_chain_is_the_text_that_it_was_parsed_from(text):
    chain = parse_chain(text, 4)
    assert chain_text(chain) == text
    assert parse_chain(chain_text(chain), 4) == chain
    assert out_channels(chain, 4) >= 1


@given(st.text(alphabet="[]|,x/ 0123456789csmaxvgilidnergroup*", max_size=40))
def test_any_other_text_is_an_input_error(text):
    try:
        chain = parse_chain(text, 4, channels=8)
    except InputError:
        return
    assert parse_chain(chain_text(chain), 4) == chain


@given(chains, st.integers(1, 3))
def test_changing_channels_keeps_the_shape_of_a_text(text, factor):
    wider = map_channels(text, lambda channels: factor * channels)
    pattern = r"(?<![x\d])\d+(?![\dx])"
    assert re.sub(pattern, "N", wider) == re.sub(pattern, "N", text)
    mine, theirs = ([conv.channels for conv in convolutions(parse_chain(each, 4))] for each in (wider, text))
    assert mine == [factor * channels for channels in theirs]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3x3", "a whole number from 1 to 65536 was expected, not ''"),
        ("3x3 0", "a whole number from 1 to 65536 was expected, not '0'"),
        ("3x3 70000", "a whole number from 1 to 65536 was expected, not '70000'"),
        ("conv 8", "a layer is a convolution, as in 3x3/2 64, or a pooling, as in max 3x3/2"),
        ("", "a layer is a convolution, as in 3x3/2 64, or a pooling, as in max 3x3/2"),
        ("3x3 8,", "a layer is a convolution, as in 3x3/2 64, or a pooling, as in max 3x3/2"),
        ("max 2x2/2", "an even window, 2x2/2, cannot keep the map's size; write valid after it"),
        ("[3x3 8", "']' was expected, not ''"),
        ("3x3 8]", "',' or the end was expected, not ']'"),
        ("3x3 8 lineer", "unexpected 'lineer' after 3x3 8"),
        ("3x3 8 in 3 groups", "3 groups do not divide 8 channels"),
        ("[" * 9 + "3x3 8" + "]" * 9, "brackets are nested more than 8 deep"),
        ("3x3 8, " * 300 + "3x3 8", "at most 2000 are allowed"),
    ],
)
def test_message_says_what_was_expected(text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        written(text)


@pytest.mark.parametrize(
    ("layers", "stage", "message"),
    [
        ("3x3 6", {}, "stages.0.channels: the branch has 6 output channels, and the stage has 8"),
        ("3x3 c/3", {}, "unit.branch.layers: 3x3 c/3: c/3 of 8 channels is not a whole number"),
        ("3x3/2 c", {}, "stages.0.unit.branch: ends in a map of 4x4, and the shortcut in one of 8x8; write /s"),
        (
            "[3x3 4 | 3x3/2 4]",
            {},
            "the paths of [3x3 4 | 3x3/2 4] end in maps of 4x4, 8x8; they must have the same size",
        ),
        ("9x9 valid c", {}, "stages.0.unit.branch: 9x9 valid 8 does not fit on a map of 8x8"),
        ("3x3 c", {"stride": 2}, "ends in a map of 8x8, and the shortcut in one of 4x4; write /s"),
    ],
)
def test_layers_that_do_not_fit_the_shortcut_are_refused(layers, stage, message):
    with pytest.raises(InputError, match=re.escape(message)):
        written(layers, **stage)


def test_c_is_refused_in_a_stem():
    with pytest.raises(InputError, match="c is a stage's channels, and a stem has none; write a number"):
        Architecture.of(NET | {"stem": {"kind": "written", "layers": "3x3 c"}})


def test_without_a_shortcut_the_branch_decides_the_map():
    unit = {"branch": {"kind": "written", "layers": "3x3/2 valid c"}, "shortcut": "none"}
    net = Architecture.of(NET | {"stages": [{"units": 2, "channels": 8}], "unit": unit})
    assert [unit.out_size for unit in net.blueprint.units] == [(3, 3), (1, 1)]
    assert out_size(net.blueprint.units[0].chain, (8, 8)) == (3, 3)
    assert complexity(net).params > 0
