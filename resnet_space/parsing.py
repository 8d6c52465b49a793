"""Parse the text of an expression into a tree: tokens, then operator precedence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from resnet_space.errors import InputError, unknown
from resnet_space.fields import with_wildcards

MAX_LENGTH = 500
"""The maximum number of characters of an expression."""
MAX_DEPTH = 40
"""The maximum nesting of parentheses, `not` and signs."""
Names = Mapping[str, Collection[Any]]
"""The allowed names, with `*` for indices, and the allowed values of each; empty if any value is allowed."""

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_CONDITIONS = (*COMPARISONS, "and", "or", "not")
_PRECEDENCE = {"or": 1, "and": 2, **dict.fromkeys((*COMPARISONS, "in", "not"), 4), "+": 5, "-": 5, "*": 6, "/": 6}
"""The precedence of operators with two sides: higher binds tighter."""
_NOT_PRECEDENCE, _MINUS_PRECEDENCE = 3, 7
"""The precedence of operators with one operand."""


@dataclass(frozen=True)
class Node:
    """An operator and its operands `parts`. A leaf has the operator `name` or `value`, and its content in `leaf`."""

    operator: str
    parts: tuple[Node, ...] = ()
    leaf: Any = None
    column: int = 1

    def walk(self) -> Iterator[Node]:
        yield self
        for part in self.parts:
            yield from part.walk()


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


class Parser:
    """Operator precedence parsing (Pratt 1973): an operand, then all operators that bind tighter than the last one."""

    def __init__(self, text: str, names: Names) -> None:
        self.text, self.names, self.depth, self.at = text, names, 0, 0
        if len(text) > MAX_LENGTH:
            raise InputError(f"{text[:40]}...: {len(text)} characters; an expression has at most {MAX_LENGTH}")
        found = _TOKEN.finditer(text)
        self.tokens = [_Token(kind, m[kind], m.start(kind) + 1) for m in found if (kind := m.lastgroup or "")]

    def parse(self) -> Node:
        root = self._expression(0)
        if self.token.kind != "end":
            self._fail(f"an operator or the end was expected{self._not_this}")
        self._require_condition(root)
        for node in root.walk():
            if node.operator == "name" and not self._known(node.leaf):
                raise self._unknown(node)
        return root

    def _expression(self, power: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")
        node = self._operand()
        while _PRECEDENCE.get(self._operator, 0) > power:
            sign, column = self._operator, self._next().column
            if sign == "not":
                self._expect("in")
                node = Node("not", (self._in_list(node, column),), column=column)
            elif sign == "in":
                node = self._in_list(node, column)
            elif sign in ("and", "or"):
                node = Node(
                    sign,
                    (self._require_condition(node), self._require_condition(self._expression(_PRECEDENCE[sign]))),
                    column=column,
                )
            else:
                node = self._on_values(sign, node, self._expression(_PRECEDENCE[sign]), column)
        self.depth -= 1
        return node

    def _operand(self) -> Node:
        token = self._next()
        if token.text == "not":
            return Node("not", (self._require_condition(self._expression(_NOT_PRECEDENCE)),), column=token.column)
        if token.text == "-":
            return self._on_values("-", Node("value", leaf=0), self._expression(_MINUS_PRECEDENCE), token.column)
        if token.text == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.kind == "name" and token.text not in _PRECEDENCE:
            if "*" in token.text:
                self._fail("write an index in place of *, as in stages.0.units", token)
            return Node("name", leaf=token.text, column=token.column)
        if token.kind == "text":
            return Node("value", leaf=token.text[1:-1], column=token.column)
        if token.kind == "number":
            return Node("value", leaf=float(token.text), column=token.column)
        self.at -= 1
        self._fail(f"a value was expected{self._not_this}")

    def _on_values(self, sign: str, left: Node, right: Node, column: int) -> Node:
        for side in (left, right):
            if side.operator in _CONDITIONS:
                self._fail("a value was expected, not a comparison; join comparisons by and", side)
        if sign in ("==", "!="):
            left, right = self._as_value(left, other=right), self._as_value(right, other=left)
        return Node(sign, (left, right), column=column)

    def _in_list(self, left: Node, column: int) -> Node:
        """`x in [a, b]` is `x == a or x == b`."""
        equal: list[Node] = []
        self._expect("[")
        while not equal or self._operator == ",":
            if equal:
                self._next()
            equal.append(self._on_values("==", left, self._expression(_PRECEDENCE["in"]), column))
        self._expect("]")
        return Node("or", tuple(equal), column=column)

    def _as_value(self, node: Node, *, other: Node) -> Node:
        """An unknown name that is compared with a known name is a word, and must be an allowed value of that name."""
        if other.operator != "name" or not self._known(other.leaf) or not isinstance(node.leaf, str):
            return node
        if node.operator == "name" and ("." in node.leaf or self._known(node.leaf)):
            return node
        words = {str(value).lower() if isinstance(value, bool) else value: value for value in self._values(other)}
        if words and node.leaf not in words:
            raise self._error(unknown(other.leaf, node.leaf, map(str, words)), node)
        return Node("value", leaf=words.get(node.leaf, node.leaf), column=node.column)

    def _require_condition(self, node: Node) -> Node:
        if node.operator not in _CONDITIONS:
            self._fail("a comparison was expected, as in depth >= 20", node)
        return node

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    @property
    def _operator(self) -> str:
        return self.token.text if self.token.kind in ("name", "sign") else ""

    @property
    def _not_this(self) -> str:
        text = self.token.text
        return f", not {text!r}{_HINTS.get(text, '')}" if text else ", but the text ends"

    def _next(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, text: str) -> None:
        if self._operator != text:
            self._fail(f"{text!r} was expected{self._not_this}")
        self.at += 1

    def _known(self, name: str) -> bool:
        return with_wildcards(name) in self.names

    def _values(self, node: Node) -> Collection[Any]:
        return self.names[with_wildcards(node.leaf)]

    def _unknown(self, node: Node) -> InputError:
        """Suggest names that end with the word, else names with a similar spelling."""
        names = [name.replace("*", "0") for name in self.names if not name.endswith("*")]
        longer = [name for name in names if name.endswith(f".{node.leaf}")]
        problem = f"unknown name {node.leaf!r}; did you mean {' or '.join(longer)}?"
        return self._error(problem if longer else unknown("name", node.leaf, names), node)

    def _fail(self, problem: str, where: _Token | Node | None = None) -> NoReturn:
        raise self._error(problem, where or self.token)

    def _error(self, problem: object, where: _Token | Node) -> InputError:
        return InputError(f"{self.text}: column {where.column}: {problem}")
