"""Fuse K networks into one, so that the same arithmetic runs in fewer, larger kernels.

The networks' channels are side by side in separate groups; `fused_forms` has the fused form of each module. Networks
can differ in their shortcuts, since these do not change the shapes of the other modules: each shortcut is then applied
to the channels of its own networks, and everything else is shared. Networks that differ in another module, or that have
a module without a fused form, such as branches that a batch can skip, are refused: `refusal` returns the reason.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_space.chains import Dropout
from resnet_space.fused_forms import FORMS, Dropouts, Unfusable
from resnet_space.fused_shortcuts import Mixed, Shortcuts, Sums
from resnet_space.modules import Gate, Nothing, Pad, Shortcut, Sum

__all__ = ["Unfusable", "fuse", "refusal"]

TensorPairs = Sequence[tuple[Tensor, Sequence[Tensor]]]
"""The tensors of a fused network, each with the tensors of the original networks that it replaces."""


class Part(NamedTuple):
    """A module of a fused network, and which modules of the original networks it replaces."""

    module: nn.Module
    path: str
    """Its path in the fused network, with a dot at the end; empty for the network itself."""
    own: str
    """The path of the modules that it replaces, in the same form."""
    networks: Sequence[int]
    """The numbers of the networks whose modules it replaces."""


def fuse(nets: Sequence[nn.Module]) -> nn.Module:
    """Return one network made of copies of K networks: (N, K*C, H, W) to logits (N, K*classes).

    Consecutive networks with equal shortcuts share their fused shortcut, so sorted networks are faster.

    Raises:
        Unfusable: a module has no fused form, or the networks differ in more than their shortcuts.
    """
    fused = form(nets)
    states = [net.state_dict() for net in nets]
    joined = {to: join([states[number][own] for number in numbers]) for to, own, numbers in _tensors(fused, len(nets))}
    fused.load_state_dict(joined, assign=True)
    return fused.train(nets[0].training)


def tensor_pairs(fused: nn.Module, nets: Sequence[nn.Module]) -> TensorPairs:
    """Return the weights and statistics of a fused network, each with those of its original networks."""
    state, states = fused.state_dict(), [net.state_dict() for net in nets]
    return [(state[to], [states[number][own] for number in numbers]) for to, own, numbers in _tensors(fused, len(nets))]


def parameter_origins(fused: nn.Module, networks: int) -> dict[str, list[tuple[int, str]]]:
    """Return by its name what each parameter of a fused network is made of: numbers of networks, and names in them."""
    learned = {name for name, _ in fused.named_parameters()}
    return {
        to: [(number, own) for number in numbers] for to, own, numbers in _tensors(fused, networks) if to in learned
    }


def unfuse(tensors: TensorPairs) -> None:
    """Copy a fused network's tensors back to its original networks."""
    copy_all([each for tensor, own in tensors for each in zip(own, divided(tensor, own), strict=True)])


@torch.no_grad()
def copy_all(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Copy the second tensor of each pair into the first.

    Tensors of the same type and layout are copied in one call, which is one launch for many tensors on a GPU.
    """
    kinds: dict[tuple[torch.dtype, bool], tuple[list[Tensor], list[Tensor]]] = {}
    for to, own in pairs:
        places, values = kinds.setdefault((to.dtype, to.stride() == own.stride()), ([], []))
        places.append(to)
        values.append(own)
    for places, values in kinds.values():
        torch._foreach_copy_(places, values)


def refusal(*nets: nn.Module) -> str:
    """Return why these networks cannot be fused, or an empty text if they can.

    Of a single network: why several of its shape cannot be fused.
    """
    try:
        form(nets if len(nets) > 1 else nets * 2)
    except Unfusable as reason:
        return str(reason)
    return ""


def draws(net: nn.Module) -> bool:
    """Whether a network draws random numbers in training that its fused form draws too."""
    return any(isinstance(part, Dropout | Dropouts) for part in net.modules())


def skeleton(net: nn.Module) -> str:
    """Return the text of a network without the parts of its shortcuts in which networks can differ that train together.

    Gated ones differ from all others: a gate for some of the networks would cost as much as one for all.
    """
    return "\n".join(_skeleton(net, ""))


def _skeleton(module: nn.Module, name: str) -> Iterator[str]:
    if isinstance(module, Shortcut):
        linear = f"linear, gate: {isinstance(module.gate, Gate)}"
        yield f"{name}: {linear if _is_linear(module.sum) else repr(module)}"
        return
    yield f"{name}: {_text(module)}"
    for part, child in module.named_children():
        yield from _skeleton(child, f"{name}.{part}")


def carries(net: nn.Module) -> str:
    """Return the text of the layers through which shortcuts carry their input; empty if they only carry or pad it."""
    found = [part.carry for part in net.modules() if isinstance(part, Shortcut)]
    return "\n".join(repr(carry) for carry in found if draws(carry) or any(True for _ in carry.parameters()))


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Return the fused network's parameter, buffer or momentum, made of the networks' own.

    The networks share one count of batches.
    """
    first = tensors[0]
    if first.dim():
        return torch.cat(list(tensors))
    return torch.stack(list(tensors)) if first.is_floating_point() else first.clone()


def divided(tensor: Tensor, like: Sequence[Tensor]) -> Sequence[Tensor]:
    """Split a tensor made by `join` into each network's part, with the shapes of `like`."""
    parts = tensor.chunk(len(like)) if tensor.dim() else [tensor] * len(like)
    return [part.reshape(own.shape) for part, own in zip(parts, like, strict=True)]


def draw_from(fused: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Make each network draw its random numbers from its own generator."""
    for part in parts(fused, range(len(generators))):
        if isinstance(part.module, Dropouts):
            part.module.generators = [generators[number] for number in part.networks]


def parts(fused: nn.Module, networks: Sequence[int], path: str = "", own: str = "") -> Iterator[Part]:
    """Yield each module of a fused network, with the modules of the original networks that it replaces."""
    if isinstance(fused, Mixed):
        ends = [*accumulate(fused.networks)]
        for number, (run, end, length) in enumerate(zip(fused.runs, ends, fused.networks, strict=True)):
            yield from parts(run, networks[end - length : end], f"{path}runs.{number}.", own)
        return
    yield Part(fused, path, own, networks)
    for name, child in fused.named_children():
        yield from parts(child, networks, f"{path}{name}.", f"{own}{name}.")


def _tensors(fused: nn.Module, networks: int) -> Iterator[tuple[str, str, Sequence[int]]]:
    """Yield the name of each tensor of a fused network, its name in the original networks, and their numbers."""
    for part in parts(fused, range(networks)):
        for name in _shapes(part.module):
            yield part.path + name, part.own + name, part.networks


def form(modules: Sequence[nn.Module]) -> nn.Module:
    """Return the fused form of the same module of several networks, without weights, on torch's meta device.

    Raises:
        Unfusable: there is none.
    """
    made = _form([copy.deepcopy(modules[0]).to("meta"), *modules[1:]], "")
    inner = [*made.modules()]
    if any(isinstance(part, Dropouts) for part in inner) and any(getattr(part, "recompute", False) for part in inner):
        raise Unfusable("dropout in a network that recomputes activations, which would draw new masks")
    return made


def _form(modules: Sequence[nn.Module], name: str) -> nn.Module:
    """Return the fused form of modules with this path, made of the first of them, which is on the meta device."""
    kind = type(modules[0])
    if {type(each) for each in modules} == {Shortcut} and len({*map(repr, modules)}) > 1:
        return _shortcuts(modules, name)
    if kind not in FORMS:
        raise Unfusable(f"{name or 'the network'}: {kind.__name__} has no fused form")
    if len({_text(each) for each in modules}) > 1:
        raise Unfusable(f"{name or 'the network'}: networks of different shapes")
    try:
        fused = FORMS[kind](modules[0], len(modules))
    except Unfusable as reason:
        raise Unfusable(f"{name}: {reason}") from None
    for part, _ in [*fused.named_children()]:
        of_each = [each.get_submodule(part) for each in modules]
        setattr(fused, part, _form(of_each, f"{name}.{part}".lstrip(".")))
    wanted = {own: _joined_shape(own, shape, len(modules)) for own, shape in _shapes(modules[0]).items()}
    if _shapes(fused) != wanted:
        raise Unfusable(f"{name}: {kind.__name__} has parameters that its fused form does not handle")
    return fused


def _shortcuts(modules: Sequence[nn.Module], name: str) -> Shortcuts:
    """Return the fused form of shortcuts that differ."""
    shortcuts = [each for each in modules if isinstance(each, Shortcut)]
    formulas = [each.sum.shortcut for each in shortcuts if isinstance(each.sum, Sum) and _is_linear(each.sum)]
    if len(formulas) < len(modules):
        raise Unfusable(f"{name}: networks with shortcuts that cannot be fused with others")
    carries: list[nn.Module] = [each.carry for each in shortcuts]
    # Where x has the coefficient 0, it can be anything of the right shape.
    anything = next((each for each in carries if type(each) in (nn.Identity, Pad)), None)
    carries = [anything if anything and isinstance(each, Nothing) else each for each in carries]
    gates = [each.gate or Nothing() for each in shortcuts]
    gate = _mixed(gates, f"{name}.gate") if any(each.gate for each in shortcuts) else None
    return Shortcuts(_mixed(carries, f"{name}.carry"), gate, Sums(formulas))


def _is_linear(formula: nn.Module) -> bool:
    return type(formula) is Sum and formula.shortcut.fusing == "linear" and not _shapes(formula)


def _mixed(modules: Sequence[nn.Module], name: str) -> Mixed:
    runs = [[*run] for _, run in groupby(modules, key=repr)]
    made = [_form([copy.deepcopy(run[0]).to("meta"), *run[1:]], name) for run in runs]
    return Mixed(made, [len(run) for run in runs])


def _text(module: nn.Module) -> str:
    """Return a module as text without what its submodules are."""
    inner = ", ".join(name for name, _ in module.named_children())
    return f"{type(module).__name__}({module.extra_repr()}) [{inner}]"


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a module's own parameters and buffers, without those of its submodules."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: tuple(tensor.shape) for name, tensor in own}


def _joined_shape(name: str, shape: tuple[int, ...], networks: int) -> tuple[int, ...]:
    if not shape:
        return () if name == "num_batches_tracked" else (networks,)
    return (networks * shape[0], *shape[1:])
