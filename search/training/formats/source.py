"""Write a network as Python that needs only torch: a class per kind of unit, layers with their numbers, formulas.

A module of torch.nn is written as its constructor, a sequence as the list of its layers, and any other module as a
class of its own: its children, its own parameters, and its `forward` as torch.fx traces it in evaluation mode. So a
part that somebody added needs no entry here. Names of weights are those of the original network.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import operator
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from textwrap import indent
from types import EllipsisType, MappingProxyType
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import _get_qualified_name

from resnet_space.chains import Dropout, PixelBlocks
from resnet_space.conv_layers import Pointwise
from resnet_space.norm_layers import PixelMean

WIDTH = 100
"""Longer expressions are divided among several lines of code."""

SAME_IN_EVALUATION: Mapping[type[nn.Module], type[nn.Module]] = MappingProxyType(
    {
        Pointwise: nn.Conv2d,
        Dropout: nn.Dropout,
        PixelMean: nn.AdaptiveAvgPool2d,
        PixelBlocks: nn.PixelUnshuffle,
    }
)
"""Modules of ours that compute in evaluation what a module of torch does."""

INFIX: Mapping[Any, str] = MappingProxyType(
    {
        operator.add: "+",
        operator.sub: "-",
        operator.mul: "*",
        operator.truediv: "/",
        operator.floordiv: "//",
        operator.mod: "%",
        operator.pow: "**",
        operator.matmul: "@",
        operator.lt: "<",
        operator.le: "<=",
        operator.gt: ">",
        operator.ge: ">=",
        operator.eq: "==",
        operator.ne: "!=",
    }
)


class Unwritable(ValueError):
    """The network cannot be written as Python; the message says why."""


def _pooling(pool: nn.Module) -> str:
    assert isinstance(pool, nn.AvgPool2d)
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    return ", ".join(f"{name}={getattr(pool, name)!r}" for name in names)


ARGUMENTS: Mapping[type[nn.Module], Callable[[nn.Module], str]] = MappingProxyType({nn.AvgPool2d: _pooling})
"""The arguments of modules whose `extra_repr` leaves some out."""


def written(network: nn.Module, name: str) -> str:
    """Return the classes of a network in evaluation mode; the last one has this name, and takes no arguments.

    Raises:
        Unwritable: a forward depends on the values in a tensor, or calls something that is not torch's.
    """
    with torch.no_grad():
        writer = _Writer()
        writer.add(network)
    text = "\n\n\n".join(f"class {own}(nn.Module):\n{body}" for body, own in writer.classes.items())
    kinds = Counter(own.rpartition("_")[0] for own in writer.classes.values())
    final = {}
    for own in writer.classes.values():
        kind, _, number = own.rpartition("_")
        final[own] = kind if kinds[kind] == 1 else f"{kind}{number}"
    final[own] = name  # the last is the network's
    return re.sub(r"\b\w+_\d+\b", lambda found: final.get(found[0], found[0]), text)


class _Writer:
    """Collects classes, in the order in which they are used; modules with equal text share one."""

    def __init__(self) -> None:
        self.classes: dict[str, str] = {}
        """Names by body."""

    def add(self, module: nn.Module) -> str:
        """Add the class of a module and of its children, and return its name, such as Unit_2."""
        body = indent("\n".join(self._body(module)), "    ")
        kind = type(module).__name__
        if body not in self.classes:
            self.classes[body] = f"{kind}_{1 + sum(own.rpartition('_')[0] == kind for own in self.classes.values())}"
        return self.classes[body]

    def _body(self, module: nn.Module) -> Iterator[str]:
        if formula := _formula(module):
            yield from (f'"""{formula}"""', "")
        forward, called = _forward(module)
        yield from ("def __init__(self) -> None:", "    super().__init__()")
        for name, child in module.named_children():
            if name in called or child.state_dict():
                yield indent(f"self.{name} = {self._constructor(child)}", "    ")
        for name, parameter in module.named_parameters(recurse=False):
            yield f"    self.{name} = nn.Parameter(torch.empty({tuple(parameter.shape)}))"
        for name, buffer in module.named_buffers(recurse=False):
            yield indent(_buffer(module, name, buffer), "    ")
        yield from ("", *forward)

    def _constructor(self, module: nn.Module) -> str:
        kind = SAME_IN_EVALUATION.get(type(module), type(module))
        if kind in (nn.Sequential, nn.ModuleList):
            lines = [f"    {line}," for line in self._listed(module)]
            opened, closed = ("(", ")") if kind is nn.Sequential else ("([", "])")
            return "\n".join([f"nn.{kind.__name__}{opened}", *(indent(line[4:], "    ") for line in lines), closed])
        if _is_torchs(kind):
            return f"nn.{kind.__name__}({_arguments(module, kind)})"
        return f"{self.add(module)}()"

    def _listed(self, modules: nn.Module) -> Iterator[str]:
        """Yield the constructors of a sequence; more than two equal ones as one line."""
        names = [name for name, _ in modules.named_children()]
        if names != [str(at) for at in range(len(names))]:
            raise Unwritable(f"a sequence whose modules have the names {', '.join(names)}")
        for text, same in groupby(map(self._constructor, modules.children())):
            number = len(list(same))
            yield from [text] * number if number < 3 else [f"*({text} for _ in range({number}))"]


def _is_torchs(kind: type[nn.Module]) -> bool:
    return kind.__module__.startswith("torch.nn.modules.")


def _arguments(module: nn.Module, kind: type[nn.Module]) -> str:
    """Return the arguments that make an equal module, without those that are the default."""
    given = ARGUMENTS[kind](module) if kind in ARGUMENTS else module.extra_repr()
    defaults = {name: repr(each.default) for name, each in inspect.signature(kind).parameters.items()}

    def kept(found: re.Match[str]) -> str:
        name, text = found[1], found[2]
        if isinstance(value := getattr(module, name, None), str):
            # Torch prints some texts without quotes.
            text = repr(value)
        return "" if defaults.get(name) == text else f", {name}={text}"

    return re.sub(r", (\w+)=([^,()\s]+)(?=,|$)", kept, f", {given}").removeprefix(", ")


def _buffer(module: nn.Module, name: str, buffer: torch.Tensor) -> str:
    if name in module._non_persistent_buffers_set:
        values = f"torch.tensor({buffer.tolist()}, dtype={buffer.dtype})"
        return f"self.register_buffer({name!r}, {values}, persistent=False)"
    return f"self.register_buffer({name!r}, torch.empty({tuple(buffer.shape)}, dtype={buffer.dtype}))"


def _formula(module: nn.Module) -> str:
    """Return the first paragraph of the class's docstring, if it can be written as one."""
    text = " ".join((inspect.getdoc(type(module)) or "").partition("\n\n")[0].split())
    return text if text.isprintable() and not set(text) & {'"', "\\"} and type(module).__doc__ else ""


class _Traced(fx.Proxy):
    """A value that is traced: it needs no gradient, and `*x.shape[:3]` has three parts."""

    requires_grad = False

    def __iter__(self) -> Iterator[fx.Proxy]:
        calling = sys._getframe(1)
        (now,) = (each for each in dis.get_instructions(calling.f_code) if each.offset == calling.f_lasti)
        index = self.node.args[1] if self.node.target is operator.getitem else None
        if now.opname == "UNPACK_SEQUENCE":
            # As fx itself does: `n, c, h, w = x.shape`.
            number = int(now.argval)
        elif isinstance(index, slice) and index.start is None and index.step is None and isinstance(index.stop, int):
            number = index.stop
        else:
            raise TypeError("iterates over a value whose number of parts is not known")
        getitem = operator.getitem
        return iter([self.tracer.create_proxy("call_function", getitem, (self, at), {}) for at in range(number)])

    def __len__(self) -> int:
        # Not the RuntimeError of fx: with a TypeError, Python iterates without knowing the length.
        raise TypeError("the length of a traced value is not known")


class _Tracer(fx.Tracer):
    """Traces one module: calls of its children are calls, and modules without state of their own are formulas."""

    proxy_buffer_attributes = True

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Traced(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not _is_formula(m)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return args[0] if _passes(m) else super().call_module(m, forward, args, kwargs)


def _passes(module: nn.Module) -> bool:
    """Whether a module returns its input."""
    return isinstance(module, nn.Identity) or (type(module) is nn.Sequential and not len(module))


def _is_formula(module: nn.Module) -> bool:
    """Whether a module of ours has no weights and no layers, and so is a formula within another one."""
    kind = type(module)
    if _is_torchs(kind) or kind in SAME_IN_EVALUATION:
        return False
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return not own and all(_passes(child) or _is_formula(child) for child in module.children())


def _forward(module: nn.Module) -> tuple[list[str], set[str]]:
    """Return the lines of a module's forward, and the names of the children that it calls."""
    try:
        graph = _Tracer().trace(module)
    except Exception as error:  # a module of a user's own can raise anything
        raise Unwritable(f"{type(module).__name__}: its forward cannot be traced: {error}") from error
    graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    called = {str(node.target).split(".")[0] for node in graph.nodes if node.op == "call_module"}
    return list(_lines(graph)), called


def _lines(graph: fx.Graph) -> Iterator[str]:
    texts: dict[fx.Node, str] = {}
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    yield f"def forward(self, {', '.join(f'{node.target}: Tensor' for node in inputs)}) -> Tensor:"
    for node in graph.nodes:
        if node.op == "output":
            yield f"    return {_bare(_text(node.args[0], texts))}"
        elif node.op == "placeholder":
            texts[node] = str(node.target)
        else:
            text = _call(node, texts)
            if len(node.users) > 1 or len(text) > WIDTH:
                yield f"    {node.name} = {_bare(text)}"
                text = node.name
            texts[node] = text


def _call(node: fx.Node, texts: Mapping[fx.Node, str]) -> str:
    """Return the expression of a node; one with an infix operator is in parentheses."""
    positional = [_text(each, texts) for each in node.args]
    named = [f"{name}={_bare(_text(each, texts))}" for name, each in node.kwargs.items()]
    listed = ", ".join([*map(_bare, positional), *named])
    if node.op == "get_attr":
        return f"self{_path(str(node.target))}"
    if node.op == "call_module":
        return f"self{_path(str(node.target))}({listed})"
    if node.op == "call_method":
        rest = ", ".join([*map(_bare, positional[1:]), *named])
        return f"{positional[0]}.{node.target}({rest})"
    if node.target in INFIX:
        return f"({positional[0]} {INFIX[node.target]} {positional[1]})"
    if node.target is operator.neg:
        return f"(-{positional[0]})"
    if node.target is operator.getitem:
        return f"{positional[0]}[{_index(node.args[1], texts)}]"
    if node.target is getattr:
        return f"{positional[0]}.{node.args[1]}"
    assert callable(node.target)
    return f"{_function(node.target)}({listed})"


def _index(index: Any, texts: Mapping[fx.Node, str]) -> str:
    """Return what is between the brackets: `:, ::2`."""
    if isinstance(index, tuple) and index:
        return ", ".join(_index(each, texts) for each in index) + "," * (len(index) == 1)
    if not isinstance(index, slice):
        return _bare(_text(index, texts))
    parts = ["" if each is None else _bare(_text(each, texts)) for each in (index.start, index.stop, index.step)]
    return ":".join(parts if index.step is not None else parts[:2])


def _function(function: Callable[..., Any]) -> str:
    """Return the name of a function of torch or of Python itself.

    Raises:
        Unwritable: it is another one.
    """
    if getattr(builtins, getattr(function, "__name__", ""), None) is function:
        return str(function.__name__)
    name = str(_get_qualified_name(function))
    if not name.startswith("torch."):
        raise Unwritable(f"calls {name}, which is not torch's")
    return name.replace("torch.nn.functional.", "functional.")


def _path(target: str) -> str:
    """Return the path of a child: `.h.gate`, or `.paths[0]`."""
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in target.split("."))


def _text(value: Any, texts: Mapping[fx.Node, str]) -> str:
    match value:
        case fx.Node():
            return texts[value]
        case tuple() | list():
            inside = ", ".join(_bare(_text(each, texts)) for each in value)
            return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
        case slice():
            return f"slice({', '.join(_text(each, texts) for each in (value.start, value.stop, value.step))})"
        case float() if value != value or value in (float("inf"), float("-inf")):
            return f'float("{value}")'
        case EllipsisType():
            return "..."
        case None | bool() | int() | float() | str() | torch.dtype():
            return repr(value) if not isinstance(value, (int, float)) or value >= 0 else f"({value!r})"
    raise Unwritable(f"uses {value!r}, which cannot be written as Python")


def _bare(text: str) -> str:
    """Return an expression without the parentheses around all of it, unless it is a tuple."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth, comma = 0, False
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        comma |= char == "," and depth == 1
        if not depth and at < len(text) - 1:
            return text
    return text if comma or text == "()" else text[1:-1]
