"""Residual networks as data: describe, vary, build, count.

>>> from resnet_space import preset
>>> net = preset("resnet110", shortcut={"kind": "exclusive_gate", "gate_bias": -6})
>>> net.depth, net.unit.shortcut.kind
(110, 'exclusive_gate')

Importing this package imports neither torch nor fvcore; `build` and `complexity` do, when they are called.
"""

from resnet_space.architecture import Architecture, ResidualUnit, Stage, Stem
from resnet_space.build import build
from resnet_space.complexity import Complexity, complexity
from resnet_space.errors import InputError
from resnet_space.presets import PRESETS, preset
from resnet_space.space import Space

__all__ = [
    "PRESETS",
    "Architecture",
    "Complexity",
    "InputError",
    "ResidualUnit",
    "Space",
    "Stage",
    "Stem",
    "build",
    "complexity",
    "preset",
]
