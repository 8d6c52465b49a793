"""Residual networks as data: describe, vary, build, count.

>>> from resnet_space import preset
>>> net = preset("resnet110", shortcut={"kind": "exclusive_gate", "gate_bias": -6})
>>> net.depth, net.unit.shortcut.kind
(110, 'exclusive_gate')

A study of them runs in one call (see `study`), and `open_run` has the results:

>>> import resnet_space as rs
>>> run = rs.study("shortcuts", seeds=2).run("runs/demo")  # doctest: +SKIP
>>> print(run.answer)  # doctest: +SKIP

Importing this package imports neither torch nor fvcore; `build` and `complexity` import them when they are called. Each
name is imported on first use, so that the command line does not wait for modules that it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_space.api.in_code import Search, Study, study
    from resnet_space.api.results import Run, open_run
    from resnet_space.architecture import Architecture
    from resnet_space.builder import build
    from resnet_space.counter import Complexity, complexity
    from resnet_space.errors import InputError
    from resnet_space.presets import PRESETS, preset
    from resnet_space.space import Space
    from resnet_space.stems import Stem
    from resnet_space.units import ResidualUnit, Stage

__all__ = [
    "PRESETS",
    "Architecture",
    "Complexity",
    "InputError",
    "ResidualUnit",
    "Run",
    "Search",
    "Space",
    "Stage",
    "Stem",
    "Study",
    "build",
    "complexity",
    "open_run",
    "preset",
    "study",
]

# None of these names may be the name of a module: importing `resnet_space.x` would replace the attribute by the module.
_MODULES = {
    "Architecture": "architecture",
    "ResidualUnit": "units",
    "Stage": "units",
    "Stem": "stems",
    "build": "builder",
    "Complexity": "counter",
    "complexity": "counter",
    "InputError": "errors",
    "PRESETS": "presets",
    "preset": "presets",
    "Space": "space",
    "Search": "api.in_code",
    "Study": "api.in_code",
    "study": "api.in_code",
    "Run": "api.results",
    "open_run": "api.results",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"resnet_space.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
