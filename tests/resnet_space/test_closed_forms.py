"""Depth, parameters and MACs, compared with formulas derived here from the papers' tables, not from the code."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_space import PRESETS, Architecture, complexity, preset
from resnet_space.descendants import DESCENDANTS
from resnet_space.inspection import lines
from resnet_space.presets import cifar


def params_of_6n2(n):
    """Convolutions 432 + 2n*9*(16^2 + 32^2 + 64^2), minus 9*(16*32 + 32*64) for two narrow inputs; BN
    2*(16 + 2n*(16 + 32 + 64)); a classifier of 650. 1512.03385, section 4.2.
    """
    return 97_216 * n - 21_926


def conv_macs_of_6n2(n):
    """432*32^2 for the stem and 18n*16^2*32^2 per stage, minus 9*16*32*16^2 for each narrow input."""
    return 14_155_776 * n - 1_916_928


PROJECTIONS = {"params": 16 * 32 + 32 * 64 + 2 * (32 + 64), "macs": 16 * 32 * 16**2 + 32 * 64 * 8**2}


@pytest.mark.parametrize("n", [1, 3, 5, 7, 9, 18, 200])
class TestCifarNetsOf6nPlus2Layers:
    def test_depth_is_6n_plus_2(self, n):
        assert cifar(n).depth == 6 * n + 2

    def test_option_a_has_no_parameters(self, n):
        assert complexity(cifar(n)).params == params_of_6n2(n)

    def test_option_b_adds_two_projections(self, n):
        assert complexity(cifar(n, transition="B")).params == params_of_6n2(n) + PROJECTIONS["params"]

    def test_option_c_adds_a_projection_to_every_unit(self, n):
        c = complexity(cifar(n, transition="C"))
        squares = n * 16**2 + (n - 1) * (32**2 + 64**2)
        assert c.params == params_of_6n2(n) + PROJECTIONS["params"] + squares + 2 * (n * 16 + (n - 1) * 96)

    def test_plain_net_has_the_cost_of_option_a(self, n):
        plain, residual = complexity(preset("plain20").assign({"stages.*.units": n})), complexity(cifar(n))
        assert plain.params == residual.params
        assert plain.macs == residual.macs

    def test_macs_of_convolutions(self, n):
        assert complexity(cifar(n)).by_operator["conv"] == conv_macs_of_6n2(n)
        with_b = complexity(cifar(n, transition="B")).by_operator["conv"]
        assert with_b == conv_macs_of_6n2(n) + PROJECTIONS["macs"]

    def test_every_unit_adds_its_output_once(self, n):
        assert complexity(cifar(n)).elementwise == n * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)

    def test_macs_other_than_convolutions_are_normalisation_and_pooling(self, n):
        counted = complexity(cifar(n))
        normalised = 16 * 32**2 + 2 * n * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
        assert counted.by_operator["batch_norm"] == 2 * normalised
        assert counted.by_operator["linear"] == 640
        assert counted.macs == conv_macs_of_6n2(n) + 640 + 2 * normalised + 64 * 8**2


# Wide networks count their projections, and the others are not named after their depth.
OTHERS = {name for name in PRESETS if name.startswith(("highway", "inception", "wrn"))} | {*DESCENDANTS}


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in OTHERS])
def test_name_of_a_preset_states_its_depth(name):
    depth = name.replace("_bc_", "").removeprefix("se_").split("_")[0]
    assert preset(name).depth == int("".join(filter(str.isdigit, depth)))


def test_wide_networks_are_named_after_their_depth_with_projections():
    for name in ("wrn16_8", "wrn28_10"):
        depth = preset(name).blueprint.depth_with_projections
        assert name == f"wrn{depth}_{name.partition('_')[2]}"
    text = lines(preset("wrn28_10"))[0]
    assert "depth 26 (28 with projections and without the classifier)" in text
    assert "depth 20," in lines(preset("resnet20"))[0]


class Tally:
    """Adds up the parameters and MACs of convolutions with BN."""

    def __init__(self):
        self.params = self.macs = self.outputs = 0

    def conv(self, kernel, ins, outs, size, groups=1, *, bn=True):
        weights = kernel * kernel * ins * outs // groups
        self.params += weights + 2 * outs * bn
        self.macs += weights * math.prod(size)
        self.outputs += outs * math.prod(size)


def halved(size):
    return tuple(math.ceil(length / 2) for length in size)


def tally(kind, n, width, size, classes, cardinality, stride_on):
    """Count a net of three stages, option B, order `original`, by hand."""
    t = Tally()
    t.conv(3, 3, width, size)
    ins = width
    for stage in range(3):
        for unit in range(n):
            inner = width * 2**stage
            outs = inner * (4 if kind == "bottleneck" else 1)
            before = size
            if stage and not unit:
                size = halved(size)
            if kind == "basic":
                t.conv(3, ins, outs, size)
                t.conv(3, outs, outs, size)
            else:
                t.conv(1, ins, inner, size if stride_on == "1x1" else before)
                t.conv(3, inner, inner, size, cardinality)
                t.conv(1, inner, outs, size)
            if ins != outs or size != before:
                t.conv(1, ins, outs, size)
            ins = outs
    return t.params + ins * classes + classes, t.macs, t.outputs + classes


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["basic", "bottleneck"]),
    n=st.integers(1, 3),
    half=st.integers(1, 6),
    size=st.tuples(st.integers(4, 17), st.integers(4, 17)),
    classes=st.integers(1, 11),
    cardinality=st.sampled_from([1, 2]),
    stride_on=st.sampled_from(["3x3", "1x1"]),
)
def test_any_basic_or_bottleneck_net_has_the_costs_counted_by_hand(
    kind, n, half, size, classes, cardinality, stride_on
):
    width = 2 * half
    expansion = {"basic": 1, "bottleneck": 4}[kind]
    fields = {"cardinality": cardinality, "stride_on": stride_on} if kind == "bottleneck" else {}
    net = Architecture.of(
        {
            "input_shape": [3, *size],
            "classes": classes,
            "stem": {"channels": width},
            "stages": [
                {"units": n, "channels": width * expansion * 2**stage, "stride": 2 if stage else 1}
                for stage in range(3)
            ],
            "unit": {"branch": {"kind": kind, **fields}},
            "transition": "B",
        }
    )
    counted = complexity(net)
    assert (counted.params, counted.by_operator["conv"], counted.activations) == tally(
        kind, n, width, size, classes, cardinality, stride_on
    )
    assert net.depth == 2 + 3 * n * (3 if kind == "bottleneck" else 2)
