"""Inception-v4 and Inception-ResNet, 1602.07261: parameters from the figures, and branches with several paths."""

import pytest
import torch
from torch import nn

from resnet_space import Space, build, complexity, preset
from resnet_space.neighbours import inception_resnet_v1, inception_resnet_v2


class Count:
    """Adds up the weights of convolutions with BN (two more per channel), or `linear` with a bias, from the figures."""

    def __init__(self, channels):
        self.channels, self.total = channels, 0

    def conv(self, *steps, linear=False, into=None):
        """Add a path of (kernel area, outputs) from `into` or the block's input; return its outputs."""
        ins = into or self.channels
        for area, outs in steps:
            self.total += area * ins * outs + (outs if linear else 2 * outs)
            ins = outs
        return ins

    def residual(self, times, *paths):
        for _ in range(times):
            outs = sum(self.conv(*path) for path in paths)
            self.conv((1, self.channels), linear=True, into=outs)

    def mixed(self, *paths, pooled=True):
        self.channels = sum([self.conv(*path) for path in paths]) + (self.channels if pooled else 0)


def stem_of_v4(count):
    count.channels = count.conv((9, 32), (9, 32), (9, 64))
    count.mixed([(9, 96)])
    count.mixed([(1, 64), (9, 96)], [(1, 64), (7, 64), (7, 64), (9, 96)], pooled=False)
    count.mixed([(9, 192)])


def test_parameters_of_inception_resnet_v1_are_those_of_its_figures():
    count = Count(3)
    count.channels = count.conv((9, 32), (9, 32), (9, 64), (1, 80), (9, 192), (9, 256))
    count.residual(5, [(1, 32)], [(1, 32), (9, 32)], [(1, 32), (9, 32), (9, 32)])
    count.mixed([(9, 384)], [(1, 192), (9, 192), (9, 256)])
    count.residual(10, [(1, 128)], [(1, 128), (7, 128), (7, 128)])
    count.mixed([(1, 256), (9, 384)], [(1, 256), (9, 256)], [(1, 256), (9, 256), (9, 256)])
    count.residual(5, [(1, 192)], [(1, 192), (3, 192), (3, 192)])
    assert count.channels == 1792
    assert complexity(preset("inception_resnet_v1")).params == count.total + 1793 * 1000


def test_parameters_of_inception_resnet_v2_are_those_of_its_figures():
    count = Count(3)
    stem_of_v4(count)
    assert count.channels == 384
    count.residual(5, [(1, 32)], [(1, 32), (9, 32)], [(1, 32), (9, 48), (9, 64)])
    count.mixed([(9, 384)], [(1, 256), (9, 256), (9, 384)])
    assert count.channels == 1152
    count.residual(10, [(1, 192)], [(1, 128), (7, 160), (7, 192)])
    count.mixed([(1, 256), (9, 384)], [(1, 256), (9, 288)], [(1, 256), (9, 288), (9, 320)])
    assert count.channels == 2144
    count.residual(5, [(1, 192)], [(1, 192), (3, 224), (3, 256)])
    assert complexity(preset("inception_resnet_v2")).params == count.total + 2145 * 1000


def test_parameters_of_inception_v4_are_those_of_its_figures():
    count = Count(3)
    stem_of_v4(count)
    for _ in range(4):
        count.mixed([(1, 96)], [(1, 96)], [(1, 64), (9, 96)], [(1, 64), (9, 96), (9, 96)], pooled=False)
    count.mixed([(9, 384)], [(1, 192), (9, 224), (9, 256)])
    for _ in range(7):
        long = [(1, 192), (7, 192), (7, 224), (7, 224), (7, 256)]
        count.mixed([(1, 128)], [(1, 384)], [(1, 192), (7, 224), (7, 256)], long, pooled=False)
    count.mixed([(1, 192), (9, 192)], [(1, 256), (7, 256), (7, 320), (9, 320)])
    for _ in range(3):
        split = count.conv((1, 384)), count.conv((1, 384), (3, 448), (3, 512))
        ends = [count.conv((3, 256), into=ins) for ins in split for _ in range(2)]
        count.channels = count.conv((1, 256)) + count.conv((1, 256)) + sum(ends)
    assert count.channels == 1536
    # The authors' code has the same count, as others report.
    assert complexity(preset("inception_v4")).params == count.total + 1537 * 1000 == 42_679_816


@pytest.mark.parametrize("name", ["inception_v4", "inception_resnet_v1", "inception_resnet_v2"])
def test_grids_of_an_inception_net_are_35_17_and_8(name):
    sizes = [unit.out_size[0] for unit in preset(name).blueprint.units]
    assert sorted(set(sizes), reverse=True) == [35, 17, 8]


@pytest.mark.parametrize("net", [inception_resnet_v1(0.2), inception_resnet_v2(0.2)])
def test_residual_scaling_is_the_shortcuts_and_the_branch_ends_linear(net):
    scaled = [unit for unit in net.blueprint.units if unit.carry == "keep"]
    assert {(unit.shortcut.shortcut_scale, unit.shortcut.branch_scale) for unit in scaled} == {(1, 0.2)}
    assert all(unit.chain[-1].linear for unit in scaled)


def test_inception_branch_has_three_paths_as_wide_together_as_the_stage():
    unit = build(preset("resnet20", branch="inception").assign({"width": 0.5})).units[1]
    paths = unit.F[0].paths
    assert [[conv.out_channels for conv in path if isinstance(conv, nn.Conv2d)] for path in paths] == [
        [2],
        [2, 2],
        [2, 3, 4],
    ]
    assert unit(torch.randn(2, 8, 8, 8)).shape == (2, 8, 8, 8)


def test_inception_branch_is_an_axis_like_any_other():
    space = Space(base="resnet20", set={"input_shape": [1, 8, 8]}, axes={"unit.branch.kind": ["basic", "inception"]})
    assert {net.unit.branch.kind for net in space.enumerate()} == {"basic", "inception"}
