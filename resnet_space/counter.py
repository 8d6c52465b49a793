"""What a network costs, counted by fvcore on one image in evaluation mode."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from resnet_space.architecture import Architecture
from resnet_space.blueprint import Blueprint, UnitPlan

if TYPE_CHECKING:
    from torch import nn

ELEMENTWISE = ("add", "mul", "rsub", "sigmoid")
"""Counted by us, one an output element, in a column of their own: the additions, gates and scales of shortcuts."""

LEFT_OUT = ("relu", "max_pool2d", "pad", "slice", "dropout")
"""Seen and not counted, by fvcore or by us."""


@dataclass(frozen=True)
class Complexity:
    """Counts for one image. See `complexity` for what each one counts."""

    params: int
    macs: int
    activations: int
    elementwise: int
    uncounted: tuple[str, ...]
    by_operator: dict[str, int]
    """Everything counted, by torch operator: `macs` is the sum of those not in `ELEMENTWISE`."""


def complexity(net: Architecture) -> Complexity:
    """Parameters, MACs and activations of a network, batch 1, evaluation mode.

    `params`: weights that are trained. `macs`: fused multiply-adds as fvcore counts them, that is convolutions and the
    classifier, two an element for batch normalisation, one an input element for the average pooling. `activations`:
    output elements of convolutions and classifier. `elementwise`: residual additions, gate products and sigmoids, which
    fvcore leaves out, so that an identity and a gate do not look alike; not part of `macs`. `uncounted`: the operators
    that ran and are in no count.

    Each distinct unit is counted once, and the counts are added up: the totals are those of the whole net.
    """
    plan = net.blueprint
    units = Counter(replace(unit, shortcut=unit.shortcut.like()) for unit in plan.units)
    parts = [(_unit(unit), count) for unit, count in units.items()] + [(_ends(replace(plan, units=_outer(plan))), 1)]
    operators: Counter[str] = Counter()
    for part, count in parts:
        operators.update({name: counted * count for name, counted in part.by_operator.items()})
    return Complexity(
        params=sum(part.params * count for part, count in parts),
        macs=sum(part.macs * count for part, count in parts),
        activations=sum(part.activations * count for part, count in parts),
        elementwise=sum(part.elementwise * count for part, count in parts),
        uncounted=tuple(sorted({name for part, _ in parts for name in part.uncounted})),
        by_operator=dict(sorted(operators.items())),
    )


def count(module: nn.Module, shape: tuple[int, ...]) -> Complexity:
    """The same counts for any module, on one zero input of `shape` (without the batch)."""
    training = module.training
    seen, left_out, activations = _trace(module.eval(), shape)
    module.train(training)
    return Complexity(
        params=sum(weight.numel() for weight in module.parameters()),
        macs=sum(number for name, number in seen.items() if name not in ELEMENTWISE),
        activations=activations,
        elementwise=sum(number for name, number in seen.items() if name in ELEMENTWISE),
        uncounted=tuple(sorted(left_out)),
        by_operator=seen,
    )


def _trace(module: nn.Module, shape: tuple[int, ...]) -> tuple[dict[str, int], set[str], int]:
    """Counts by operator, operators left out, and output elements of convolutions and linear layers."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        # fvcore traces with torch.jit, which torch deprecates; importing it is enough.
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message=r"[\s\S]*torch\.jit", category=category)
        from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
        from fvcore.nn.jit_handles import elementwise_flop_counter

        handles = {f"aten::{name}": elementwise_flop_counter(0, 1) for name in ELEMENTWISE}
        handles |= {f"aten::{name}": _seen(name) for name in LEFT_OUT}
        inputs = torch.zeros(1, *shape)
        flops = FlopCountAnalysis(module, inputs).set_op_handle(**handles)
        outputs = ActivationCountAnalysis(module, inputs)
        for analysis in (flops, outputs):
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {name: int(number) for name, number in flops.by_operator().items()}
        left_out = {name.removeprefix("aten::") for name in flops.unsupported_ops()} | (
            set(LEFT_OUT) & set(by_operator)
        )
        counted = {name: number for name, number in by_operator.items() if name not in LEFT_OUT}
        return counted, left_out, int(outputs.total())


@lru_cache(maxsize=65536)
def _unit(plan: UnitPlan) -> Complexity:
    import torch

    from resnet_space.modules import Unit

    with torch.random.fork_rng(devices=[]):
        return count(Unit(plan), (plan.in_channels, *plan.size))


@lru_cache(maxsize=65536)
def _ends(plan: Blueprint) -> Complexity:
    """Stem and head alone, one behind the other."""
    import torch
    from torch import nn

    from resnet_space.modules import head, stem

    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = stem(plan), head(plan)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            last = torch.zeros(1, plan.channels, *plan.units[-1].out_size)
            return self.stem(x), self.head(last)

    with torch.random.fork_rng(devices=[]):
        return count(Ends(), plan.input_shape)


def _outer(plan: Blueprint) -> tuple[UnitPlan, ...]:
    """All that stem and head see of the units, so that nets with equal ends share one count."""
    return (plan.units[0], plan.units[-1])


def _seen(name: str) -> Any:
    """A handle that only remembers that the operator ran."""
    return lambda inputs, outputs: Counter({name: 1})
