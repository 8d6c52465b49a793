"""What every shortcut keeps to: its docstring's formula is the one it computes, and what it says of fusing is so."""

import ast
import re
from typing import get_args

import pytest
import torch

from resnet_space.shortcuts import SHORTCUTS, Fusing, IdentityShortcut, ShortcutKind

ROWS = [cls() for cls in SHORTCUTS.values()]


def arrays():
    """x, F(x) and the learned values."""
    random = torch.Generator().manual_seed(0)
    return [torch.rand(2, 3, 4, 5, generator=random, dtype=torch.float64) for _ in range(3)]


def parts(y):
    """A sum, or what is to be concatenated."""
    return list(y) if isinstance(y, list | tuple) else [y]


def documented(shortcut, x, f, g):
    """The formula that a docstring begins with, worked on arrays; constants are those it names as fields."""
    text = type(shortcut).__doc__ or ""
    line = text.partition("\n")[0]
    starts = [line[:end] for end in range(len(line), 0, -1)]
    node = next(tree.body for start in starts if (tree := parsed(start)))
    if isinstance(node, ast.Tuple):
        # `x + a*F(x), with ...`
        node = node.elts[0]
    if isinstance(node, ast.Compare):
        # `conv1x1(x) + F(x) in every unit`
        node = node.left
    constants = {name: getattr(shortcut, field) for name, field in re.findall(r"(\w) = `(\w+)`", text)}
    meanings = {"F": lambda _: f, "conv1x1": lambda x: x, "dropout": lambda x, p: x, "p": None}
    names = {"x": x, "g": g, "a": g, **meanings, **constants}
    return eval(compile(ast.Expression(node), "docstring", "eval"), {"__builtins__": {}}, names)


def parsed(text):
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError:
        return None


@pytest.mark.parametrize("shortcut", ROWS, ids=SHORTCUTS)
def test_its_formula_is_the_one_that_its_docstring_begins_with(shortcut):
    x, f, g = arrays()
    expected, found = parts(documented(shortcut, x, f, g)), parts(shortcut.combine(x, f, g))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shortcut", ROWS, ids=SHORTCUTS)
def test_it_says_whether_it_fuses(shortcut):
    assert shortcut.fusing in get_args(Fusing)


@pytest.mark.parametrize("shortcut", [row for row in ROWS if row.fusing != "none"], ids=lambda row: row.kind)
def test_a_formula_of_elements_gives_shuffled_elements_for_shuffled_elements(shortcut):
    given = arrays()
    order = torch.randperm(given[0].numel(), generator=torch.Generator().manual_seed(1))

    def shuffled(array):
        return array.flatten()[order].view_as(array)

    for one, other in zip(
        parts(shortcut.combine(*map(shuffled, given))), map(shuffled, parts(shortcut.combine(*given))), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("base", [ShortcutKind, IdentityShortcut])
def test_a_formula_that_does_not_say_whether_it_fuses_is_refused_where_it_is_defined(base):
    message = r"Squared: defines the formula `combine` but not `fusing`; set it to 'linear' or 'elementwise' or 'none'"
    with pytest.raises(TypeError, match=message):

        class Squared(base):
            def combine(self, x, f, g):
                return x + f @ f
