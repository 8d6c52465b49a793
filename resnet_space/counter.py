"""What a network costs, counted by fvcore on one image in evaluation mode."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from resnet_space.architecture import Architecture
from resnet_space.blueprint import Blueprint, UnitPlan

if TYPE_CHECKING:
    from torch import nn

ELEMENTWISE = ("add", "mul", "rsub", "sigmoid")
"""Counted by us, one an output element, in a column of their own: the additions, gates and scales of shortcuts."""

Shapes = tuple[tuple[int, ...] | None, ...]
"""Of inputs, without the batch; None where there is none."""

OUTPUTS = "outputs"
"""The name under which output elements are counted beside operators."""

LEFT_OUT = ("relu", "max_pool2d", "avg_pool2d", "pad", "slice", "cat", "dropout")
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

    Each distinct unit is gone through once without numbers, each distinct operation in it is counted once by fvcore,
    and the counts are added up: the totals are those of the whole net.
    """
    plan = net.blueprint
    units = Counter(_like(unit) for unit in plan.units)
    return _total(
        [(_unit(unit), count) for unit, count in units.items()] + [(_ends(replace(plan, units=_outer(plan))), 1)]
    )


@lru_cache(maxsize=65536)
def _like(unit: UnitPlan) -> UnitPlan:
    """One for all units with the same operators."""
    return replace(unit, shortcut=unit.shortcut.like(), survival=1.0 if unit.survival == 1 else 0.5)


def _total(parts: Sequence[tuple[Complexity, int]]) -> Complexity:
    """The counts of parts, each so many times."""
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


def count(module: nn.Module, *shapes: tuple[int, ...]) -> Complexity:
    """The same counts for any module, on one zero input of each of `shapes` (without the batch)."""
    training = module.training
    seen, left_out, activations = _trace(module.eval(), shapes)
    module.train(training)
    return Complexity(
        params=sum(weight.numel() for weight in module.parameters()),
        macs=sum(number for name, number in seen.items() if name not in ELEMENTWISE),
        activations=activations,
        elementwise=sum(number for name, number in seen.items() if name in ELEMENTWISE),
        uncounted=tuple(sorted(left_out)),
        by_operator=seen,
    )


def _trace(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> tuple[dict[str, int], set[str], int]:
    """Counts by operator, operators left out, and output elements of convolutions and linear layers."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        # fvcore traces with torch.jit, which torch deprecates; importing it is enough.
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message=r"[\s\S]*torch\.jit", category=category)
        from fvcore.nn import FlopCountAnalysis, jit_handles

        handles = {f"aten::{name}": jit_handles.elementwise_flop_counter(0, 1) for name in ELEMENTWISE}
        handles |= {f"aten::{name}": _seen(name) for name in LEFT_OUT}
        # The operators whose outputs fvcore calls activations, both counts in one trace.
        handles |= {
            f"aten::{name}": _with_outputs(name, handle, jit_handles.generic_activation_jit(OUTPUTS))
            for name, handle in {
                "_convolution": jit_handles.conv_flop_jit,
                "linear": jit_handles.linear_flop_jit,
                "addmm": jit_handles.addmm_flop_jit,
                "matmul": jit_handles.matmul_flop_jit,
                "bmm": jit_handles.bmm_flop_jit,
                "einsum": jit_handles.einsum_flop_jit,
            }.items()
        }
        flops = FlopCountAnalysis(module, tuple(torch.zeros(1, *shape) for shape in shapes))
        flops.set_op_handle(**handles).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {name: int(number) for name, number in flops.by_operator().items()}
        outputs = by_operator.pop(OUTPUTS, 0)
        left_out = {name.removeprefix("aten::") for name in flops.unsupported_ops()} | (
            set(LEFT_OUT) & set(by_operator)
        )
        counted = {name: number for name, number in by_operator.items() if name not in LEFT_OUT}
        return counted, left_out, outputs


@lru_cache(maxsize=65536)
def _unit(plan: UnitPlan) -> Complexity:
    from resnet_space.modules import Unit

    return _by_operation(partial(Unit, plan), (plan.in_channels, *plan.size))


@lru_cache(maxsize=65536)
def _ends(plan: Blueprint) -> Complexity:
    """Stem and head, one behind the other."""
    from resnet_space.modules import head, stem

    first = _by_operation(partial(stem, plan), plan.input_shape)
    return _total([(first, 1), (_by_operation(partial(head, plan), (plan.channels, *plan.units[-1].out_size)), 1)])


def _by_operation(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Complexity:
    """The counts of a module all of whose work is done in modules without parts, added up over these."""
    return _total([(_operation(part, shapes), 1) for part, shapes in _ran(build, shape)])


def layers(net: Architecture) -> Iterator[tuple[nn.Module, Shapes]]:
    """What a network's work is done in: modules without parts, each with the shapes of its inputs, without the batch.

    Stem and head, and each distinct unit once. They are in evaluation mode, and their weights are zeros.
    """
    from resnet_space import modules

    plan = net.blueprint
    yield from _ran(partial(modules.stem, plan), plan.input_shape)
    for unit in dict.fromkeys(_like(unit) for unit in plan.units):
        yield from _ran(partial(modules.Unit, unit), (unit.in_channels, *unit.size))
    yield from _ran(partial(modules.head, plan), (plan.channels, *plan.units[-1].out_size))


def _ran(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> list[tuple[nn.Module, Shapes]]:
    """A module's parts that have no parts, in the order in which they run, each with the shapes of its inputs.

    It is built on torch's meta device, where nothing is drawn, and run on the CPU with zeros: on the meta device
    torch would load its compiler for the first addition, and sympy for the first copy, which take longer than all of
    this.
    """
    import torch

    ran: list[tuple[nn.Module, Shapes]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        ran.append((module, tuple(None if x is None else tuple(x.shape[1:]) for x in inputs)))

    with torch.device("meta"), torch.no_grad():
        module = build().eval()
        zeros = {
            name: torch.zeros(there.shape, dtype=there.dtype, device="cpu")
            for name, there in module.state_dict().items()
        }
    module.load_state_dict(zeros, assign=True)
    with torch.no_grad():
        whole = [part for part in module.modules() if not [*part.children()]]
        hooks = [part.register_forward_pre_hook(note) for part in whole]
        module(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return ran


def _operation(module: nn.Module, shapes: Shapes) -> Complexity:
    """The counts of a module without parts, by fvcore, once for all that are written alike."""
    name = (repr(module), shapes)
    if name not in _COUNTED:
        _COUNTED[name] = count(_filled(module, shapes), *(shape for shape in shapes if shape is not None))
    return _COUNTED[name]


_COUNTED: dict[tuple[str, Shapes], Complexity] = {}


def _filled(module: nn.Module, shapes: Shapes) -> nn.Module:
    """The module as one of those inputs alone that are there: a trace takes tensors only."""
    from torch import nn

    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Any) -> Any:
            given = iter(inputs)
            return self.module(*(None if shape is None else next(given) for shape in shapes))

    return Filled()


def _outer(plan: Blueprint) -> tuple[UnitPlan, ...]:
    """All that stem and head see of the units, so that nets with equal ends share one count."""
    return (plan.units[0], plan.units[-1])


def _with_outputs(name: str, flops: Callable[..., Any], outputs: Callable[..., Any]) -> Any:
    """A handle that counts an operator's multiply-adds and its output elements."""

    def both(inputs: Any, found: Any) -> Counter[str]:
        counted = flops(inputs, found)
        total: Counter[str] = Counter(counted if isinstance(counted, Counter) else {name: counted})
        total.update(outputs(inputs, found))
        return total

    return both


def _seen(name: str) -> Any:
    """A handle that only remembers that the operator ran."""
    return lambda inputs, outputs: Counter({name: 1})
