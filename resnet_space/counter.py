"""Count parameters, MACs and activations of a network with fvcore, for one image in evaluation mode."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from resnet_space.architecture import Architecture
from resnet_space.blueprint import Blueprint
from resnet_space.unit_plans import UnitPlan

if TYPE_CHECKING:
    from torch import nn

ELEMENTWISE = ("add", "mul", "rsub", "sigmoid")
"""Operators of shortcuts (additions, gates, scales). fvcore ignores them; here each output element counts one."""

Shapes = tuple[tuple[int, ...] | None, ...]
"""The shapes of a module's inputs, without the batch; None for an input that is None."""

_Leaf = tuple["nn.Module", Shapes]

OUTPUTS = "outputs"
"""The name that output elements are counted under, next to the operators."""

UNCOUNTED_OPERATORS = (
    *("relu", "relu6", "hardtanh", "leaky_relu", "prelu", "elu", "gelu", "silu", "hardswish", "mish"),
    *("max_pool2d", "avg_pool2d", "pad", "constant_pad_nd", "reflection_pad2d", "pixel_unshuffle", "slice", "cat"),
    *("dropout", "mean", "amax", "sum", "stack", "std_mean", "sub", "clamp", "div"),
)
"""Operators that are not counted, neither by fvcore nor here; those that ran are reported as `uncounted`."""


@dataclass(frozen=True)
class Complexity:
    """The counts for one image; `complexity` defines each of them."""

    params: int
    macs: int
    activations: int
    elementwise: int
    uncounted: tuple[str, ...]
    by_operator: dict[str, int]
    """All counts by torch operator; `macs` is the sum over those that are not in `ELEMENTWISE`."""


def complexity(net: Architecture) -> Complexity:
    """Return parameters, MACs and activations of a network, for batch 1 in evaluation mode.

    `params`: trained weights. `macs`: fused multiply-adds as fvcore counts them: convolutions and classifier, two per
    element for batch normalisation, one per input element for the average pooling. `activations`: output elements of
    convolutions and classifier. `elementwise`: residual additions, gate products and sigmoids; fvcore ignores them, and
    they are not part of `macs`, but without them an identity and a gate would differ in parameters only. `uncounted`:
    operators that ran and are not counted.

    Each distinct unit is traced once, fvcore counts each distinct operation in it once, and the counts are added up:
    the totals are those of the complete net.
    """
    plan = net.blueprint
    units = Counter(_representative(unit) for unit in plan.units)
    return _sum_of(
        [(_unit(unit), count) for unit, count in units.items()]
        + [(_stem_and_head(replace(plan, units=_first_and_last(plan))), 1)]
    )


@lru_cache(maxsize=65536)
def _representative(unit: UnitPlan) -> UnitPlan:
    """The same unit for all units that have the same operators and shapes."""
    return replace(unit, shortcut=unit.shortcut.like(), survival=1.0 if unit.survival == 1 else 0.5)


def _sum_of(parts: Sequence[tuple[Complexity, int]]) -> Complexity:
    """The total of (counts, number of repetitions)."""
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
    """Return the same counts for any module, with one zero input per shape in `shapes` (without the batch)."""
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
        handles |= {f"aten::{name}": _mark_as_run(name) for name in UNCOUNTED_OPERATORS}
        # For the operators whose outputs fvcore calls activations, one trace gives both counts.
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
            set(UNCOUNTED_OPERATORS) & set(by_operator)
        )
        counted = {name: number for name, number in by_operator.items() if name not in UNCOUNTED_OPERATORS}
        return counted, left_out, outputs


@lru_cache(maxsize=65536)
def _unit(plan: UnitPlan) -> Complexity:
    from resnet_space.modules import Unit

    return _count_leaves(partial(Unit, plan), (plan.in_channels, *plan.size))


@lru_cache(maxsize=65536)
def _stem_and_head(plan: Blueprint) -> Complexity:
    """The counts of stem and head together."""
    from resnet_space.modules import head, stem

    first = _count_leaves(partial(stem, plan), plan.input_shape)
    return _sum_of([(first, 1), (_count_leaves(partial(head, plan), (plan.channels, *plan.units[-1].out_size)), 1)])


def _count_leaves(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Complexity:
    """The counts of a module, added up over its leaf modules; every operation must belong to a leaf module."""
    return _sum_of([(_count_leaf(part, shapes), 1) for part, shapes in _leaves(build, shape)])


def leaf_modules(*nets: Architecture) -> Iterator[tuple[nn.Module, Shapes]]:
    """Yield the leaf modules of a network, or of several fused into one, each with the shapes of its inputs.

    The shapes are without the batch. The modules are those of stem and head, and of each distinct unit once. They are
    in evaluation mode, and their weights are zeros.

    Raises:
        Unfusable: the networks cannot be fused.
    """
    from resnet_space import modules
    from resnet_space.fused import Unfusable, form

    plans = [net.blueprint for net in nets]
    if len({len(plan.units) for plan in plans}) > 1:
        raise Unfusable("networks of different depths")

    def leaves(make: Callable[[Any], nn.Module], of: Sequence[Any], shape: tuple[int, ...]) -> list[_Leaf]:
        def build() -> nn.Module:
            made = [make(each) for each in of]
            return form(made) if len(made) > 1 else made[0]

        return _leaves(build, (len(of) * shape[0], *shape[1:]))

    first = plans[0]
    yield from leaves(modules.stem, plans, first.input_shape)
    # Fused networks with different constants are not each other's representatives: they are separate shortcuts.
    alike = _representative if len(nets) == 1 else lambda unit: unit
    for units in dict.fromkeys(zip(*(map(alike, plan.units) for plan in plans), strict=True)):
        yield from leaves(modules.Unit, units, (units[0].in_channels, *units[0].size))
    yield from leaves(modules.head, plans, (first.channels, *first.units[-1].out_size))


def _leaves(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> list[_Leaf]:
    """The leaf modules of a module in the order in which they run, each with the shapes of its inputs.

    The module is built on torch's meta device, where no weights are drawn, and run on the CPU with zeros. On the meta
    device torch would load its compiler for the first addition, and sympy for the first copy, which takes longer than
    the rest of this function.
    """
    import torch

    ran: list[_Leaf] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        ran.append((module, tuple(None if x is None else tuple(x.shape[1:]) for x in inputs)))

    with torch.device("meta"), torch.no_grad():
        module = build().eval()
        zeros = {
            name: torch.zeros(tensor.shape, dtype=tensor.dtype, device="cpu")
            for name, tensor in module.state_dict().items()
        }
    module.load_state_dict(zeros, assign=True)
    with torch.no_grad():
        leaves = [part for part in module.modules() if not [*part.children()]]
        hooks = [part.register_forward_pre_hook(note) for part in leaves]
        module(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return ran


def _count_leaf(module: nn.Module, shapes: Shapes) -> Complexity:
    """The counts of a leaf module by fvcore; cached by the module's text and the shapes of its inputs."""
    name = (repr(module), shapes)
    if name not in _COUNTED:
        _COUNTED[name] = count(_with_tensor_inputs(module, shapes), *(shape for shape in shapes if shape is not None))
    return _COUNTED[name]


_COUNTED: dict[tuple[str, Shapes], Complexity] = {}


def _with_tensor_inputs(module: nn.Module, shapes: Shapes) -> nn.Module:
    """The module with the inputs that are None fixed, since a trace accepts tensors only."""
    from torch import nn

    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Any) -> Any:
            given = iter(inputs)
            return self.module(*(None if shape is None else next(given) for shape in shapes))

    return Filled()


def _first_and_last(plan: Blueprint) -> tuple[UnitPlan, ...]:
    """The units that stem and head depend on: nets in which these are equal share one count."""
    return (plan.units[0], plan.units[-1])


def _with_outputs(name: str, flops: Callable[..., Any], outputs: Callable[..., Any]) -> Any:
    """A handle for fvcore that counts an operator's multiply-adds and its output elements."""

    def both(inputs: Any, found: Any) -> Counter[str]:
        counted = flops(inputs, found)
        total: Counter[str] = Counter(counted if isinstance(counted, Counter) else {name: counted})
        total.update(outputs(inputs, found))
        return total

    return both


def _mark_as_run(name: str) -> Any:
    """A handle for fvcore that only records that the operator ran."""
    return lambda inputs, outputs: Counter({name: 1})
