"""A small language for constraints and filters: `macs < 1e8 and depth >= 20 and order in [original, "..."]`.

Comparisons (`< <= > >= == !=`, `in [a, b]`, `not in`), `and`, `or`, `not`, parentheses, `+ - * /`, numbers,
names with dots (`stages.0.units`), and words, in quotes or bare: beside a name, what is no name is a word.
Nothing is ever run but the table `OPERATORS`.

A name without a value (a field that the chosen kind does not have, a result that is not there yet) makes its
comparison neither true nor false, as NULL does in SQL: a filter takes what is true, a constraint refuses what
is false.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, NoReturn

from resnet_space import paths
from resnet_space.architecture import Architecture
from resnet_space.axes import FIELDS
from resnet_space.complexity import complexity
from resnet_space.errors import InputError, unknown

MAX_LENGTH = 500
"""Characters of an expression; longer ones are refused."""
MAX_DEPTH = 40
"""Parentheses, `not` and signs inside each other; deeper ones are refused."""

Lookup = Callable[[str], Any]
"""From a name to its value; None, NaN or a LookupError where there is none."""
Names = Mapping[str, Collection[Any]]
"""The names that may be used, `*` for an index, with the values of each, empty for any."""


def _of_numbers(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator on two numbers; missing on anything else, and where the numbers run out."""

    def applied(one: Any, other: Any) -> Any:
        if any(isinstance(side, bool) or not isinstance(side, Real) for side in (one, other)):
            return None
        try:
            return apply(one, other)
        except ArithmeticError:
            return None

    return applied


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": _of_numbers(operator.lt),
    "<=": _of_numbers(operator.le),
    ">": _of_numbers(operator.gt),
    ">=": _of_numbers(operator.ge),
    "+": _of_numbers(operator.add),
    "-": _of_numbers(operator.sub),
    "*": _of_numbers(operator.mul),
    "/": _of_numbers(operator.truediv),
}
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_TRUTHS = (*_COMPARE, "and", "or", "not")
_POWER = {"or": 1, "and": 2, **dict.fromkeys((*_COMPARE, "in", "not"), 4), "+": 5, "-": 5, "*": 6, "/": 6}
"""How strongly an operator holds on to what stands at its sides."""
_NOT, _MINUS = 3, 7
"""The same for those that stand before one thing."""


@dataclass(frozen=True)
class Node:
    """An operator over its parts; a leaf is a `name` or a `value`, held in `leaf`."""

    operator: str
    parts: tuple[Node, ...] = ()
    leaf: Any = None
    column: int = 1

    def walk(self) -> Iterator[Node]:
        yield self
        for part in self.parts:
            yield from part.walk()


class Expression:
    """A parsed condition over named values; `names` are those that it uses.

    >>> Expression("depth >= 20 and shortcut == identity", {"depth": (), "shortcut": ()}).names
    ('depth', 'shortcut')

    Raises:
        InputError: the text, the column, and what was expected there, or the nearest known name.
    """

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self._root = _Parser(text, names).parse()
        self.names = tuple(dict.fromkeys(node.leaf for node in self._root.walk() if node.operator == "name"))

    def evaluate(self, lookup: Lookup) -> bool:
        """Whether the condition is true; a comparison with something that is missing is not."""
        return _value(self._root, lookup) is True

    def refuted(self, lookup: Lookup) -> bool:
        """Whether the condition is false; a comparison with something that is missing is not that either."""
        return _value(self._root, lookup) is False

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _value(node: Node, lookup: Lookup) -> Any:
    """A number, a word, a truth, or None for missing."""
    if node.operator == "value":
        return node.leaf
    if node.operator == "name":
        return _looked_up(node.leaf, lookup)
    values = []
    for part in node.parts:
        values.append(_value(part, lookup))
        if node.operator in ("and", "or") and values[-1] is (node.operator == "or"):
            return values[-1]
    if any(value is None for value in values):
        return None
    if node.operator in ("and", "or"):
        return node.operator == "and"
    result = not values[0] if node.operator == "not" else OPERATORS[node.operator](*values)
    return bool(result) if node.operator in _COMPARE and result is not None else result


def _looked_up(name: str, lookup: Lookup) -> Any:
    try:
        value = lookup(name)
    except LookupError:
        return None
    return None if isinstance(value, Real) and value != value else value


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.(?:[A-Za-z0-9_]+|\*))*)
      | (?P<sign><=|>=|==|!=|[-+*/<>()\[\],])
      | (?P<end>\Z)
      | (?P<other>.))""",
    re.VERBOSE | re.DOTALL,
)
_HINTS = {"=": "; write == to compare", "&": "; write and", "|": "; write or", "!": "; write not, or !="}


class _Parser:
    """Operator precedence (Pratt 1973): an operand, then operators that hold it stronger than the left."""

    def __init__(self, text: str, names: Names) -> None:
        self.text, self.names, self.depth, self.at = text, names, 0, 0
        if len(text) > MAX_LENGTH:
            raise InputError(
                f"{text[:40]}...: {len(text)} characters; an expression has at most {MAX_LENGTH}"
            )
        found = _TOKEN.finditer(text)
        self.tokens = [_Token(kind, m[kind], m.start(kind) + 1) for m in found if (kind := m.lastgroup or "")]

    def parse(self) -> Node:
        root = self._climb(0)
        if self.token.kind != "end":
            self._fail(f"an operator or the end was expected{self._instead}")
        self._truth(root)
        for node in root.walk():
            if node.operator == "name" and not self._known(node.leaf):
                raise self._unknown(node)
        return root

    def _climb(self, power: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")
        node = self._operand()
        while _POWER.get(self._operator, 0) > power:
            sign, column = self._operator, self._next().column
            if sign == "not":
                self._expect("in")
                node = Node("not", (self._listed(node, column),), column=column)
            elif sign == "in":
                node = self._listed(node, column)
            elif sign in ("and", "or"):
                node = Node(sign, (self._truth(node), self._truth(self._climb(_POWER[sign]))), column=column)
            else:
                node = self._of_values(sign, node, self._climb(_POWER[sign]), column)
        self.depth -= 1
        return node

    def _operand(self) -> Node:
        token = self._next()
        if token.text == "not":
            return Node("not", (self._truth(self._climb(_NOT)),), column=token.column)
        if token.text == "-":
            return self._of_values("-", Node("value", leaf=0), self._climb(_MINUS), token.column)
        if token.text == "(":
            inner = self._climb(0)
            self._expect(")")
            return inner
        if token.kind == "name" and token.text not in _POWER:
            if "*" in token.text:
                self._fail("write an index in place of *, as in stages.0.units", token)
            return Node("name", leaf=token.text, column=token.column)
        if token.kind == "text":
            return Node("value", leaf=token.text[1:-1], column=token.column)
        if token.kind == "number":
            return Node("value", leaf=float(token.text), column=token.column)
        self.at -= 1
        self._fail(f"a value was expected{self._instead}")

    def _of_values(self, sign: str, left: Node, right: Node, column: int) -> Node:
        for side in (left, right):
            if side.operator in _TRUTHS:
                self._fail("a value was expected, not a comparison; join comparisons by and", side)
        if sign in ("==", "!="):
            left, right = self._word(left, beside=right), self._word(right, beside=left)
        return Node(sign, (left, right), column=column)

    def _listed(self, left: Node, column: int) -> Node:
        """`x in [a, b]` is `x == a or x == b`."""
        equal: list[Node] = []
        self._expect("[")
        while not equal or self._operator == ",":
            if equal:
                self._next()
            equal.append(self._of_values("==", left, self._climb(_POWER["in"]), column))
        self._expect("]")
        return Node("or", tuple(equal), column=column)

    def _word(self, node: Node, *, beside: Node) -> Node:
        """An unknown bare name beside a known one is a word, and must be one that the known one can have."""
        if beside.operator != "name" or not self._known(beside.leaf) or not isinstance(node.leaf, str):
            return node
        if node.operator == "name" and ("." in node.leaf or self._known(node.leaf)):
            return node
        words = {
            str(value).lower() if isinstance(value, bool) else value: value for value in self._values(beside)
        }
        if words and node.leaf not in words:
            raise self._error(unknown(beside.leaf, node.leaf, map(str, words)), node)
        return Node("value", leaf=words.get(node.leaf, node.leaf), column=node.column)

    def _truth(self, node: Node) -> Node:
        if node.operator not in _TRUTHS:
            self._fail("a comparison was expected, as in depth >= 20", node)
        return node

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    @property
    def _operator(self) -> str:
        return self.token.text if self.token.kind in ("name", "sign") else ""

    @property
    def _instead(self) -> str:
        text = self.token.text
        return f", not {text!r}{_HINTS.get(text, '')}" if text else ", and the text ends"

    def _next(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, text: str) -> None:
        if self._operator != text:
            self._fail(f"{text!r} was expected{self._instead}")
        self.at += 1

    def _known(self, name: str) -> bool:
        return _generic(name) in self.names

    def _values(self, node: Node) -> Collection[Any]:
        return self.names[_generic(node.leaf)]

    def _unknown(self, node: Node) -> InputError:
        """Names that end with the word come before those that are spelt alike."""
        names = [name.replace("*", "0") for name in self.names if not name.endswith("*")]
        longer = [name for name in names if name.endswith(f".{node.leaf}")]
        problem = f"unknown name {node.leaf!r}; did you mean {' or '.join(longer)}?"
        return self._error(problem if longer else unknown("name", node.leaf, names), node)

    def _fail(self, problem: str, where: _Token | Node | None = None) -> NoReturn:
        raise self._error(problem, where or self.token)

    def _error(self, problem: object, where: _Token | Node) -> InputError:
        return InputError(f"{self.text}: column {where.column}: {problem}")


def _generic(name: str) -> str:
    return ".".join("*" if part.isdecimal() else part for part in name.split("."))


COSTS = ("params", "macs", "activations")
"""Names of an expression that take a count of the whole net, and so are looked at last."""
ALIASES = {"shortcut": "unit.shortcut.kind", "branch": "unit.branch.kind", "order": "unit.order"} | {
    path.rsplit(".", 1)[1]: path
    for path, at_path in FIELDS.items()
    # Not `width`: among axes it is a factor on all channels.
    if path.startswith("unit.") and at_path.kinds and not path.endswith((".kind", ".width"))
}
"""Short names in expressions, for the unit's fields."""
NAMES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("depth", *COSTS), ()),
    **{path: at_path.catalogue for path, at_path in FIELDS.items()},
    **{name: FIELDS[path].catalogue for name, path in ALIASES.items()},
}
"""What an expression may say of an architecture: depth, costs, fields by path and by short name."""


def measure(net: Architecture) -> Lookup:
    """The `Lookup` of an architecture, for expressions over `NAMES`."""
    data = net.model_dump()

    def value(name: str) -> Any:
        if name in COSTS:
            return getattr(complexity(net), name)
        if name == "depth":
            return net.depth
        found = paths.lookup(data, ALIASES.get(name, name))
        if name == "unit.branch.width" and found is None:
            # By itself a quarter of the first stage's channels; the chain knows.
            return net.blueprint.units[0].chain[0].channels
        return found.get("kind") if isinstance(found, Mapping) else found

    return value
