"""Copy the weights of another library's network into ours, so that their outputs can be compared."""

from __future__ import annotations

import torch
from torch import nn

ON_SHORTCUTS = ("downsample", "proj", "layer_scale")
"""Parts of a residual unit that other libraries can list before its branch, and ours after it."""


def in_our_order(names: list[str]) -> list[str]:
    """Return the names of a network's tensors with those on a unit's shortcut after those of its branch."""
    found: list[str] = []
    later: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        at = next((index for index, part in enumerate(parts) if part in ON_SHORTCUTS), None)
        if at is None:
            found.append(name)
        else:
            later.setdefault(".".join(parts[:at]) + ".", []).append(name)
    for unit, moved in later.items():
        last = max(index for index, name in enumerate(found) if name.startswith(unit))
        found[last + 1 : last + 1] = moved
    return found


def copy_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Copy all weights and statistics; a linear layer and a 1x1 convolution have the same ones."""
    weights, state = theirs.state_dict(), ours.state_dict()
    values = [weights[name] for name in in_our_order([*weights])]
    assert [value.numel() for value in values] == [own.numel() for own in state.values()]
    pairs = zip(state.items(), values, strict=True)
    ours.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})


@torch.no_grad()
def difference(theirs: nn.Module, ours: nn.Module, side: int) -> float:
    """Return the largest difference between the logits of two networks in evaluation, for images of this side.

    The weights of theirs are copied to ours. Theirs must not be constant.
    """
    copy_weights(theirs, ours)
    x = torch.randn(2, 3, side, side)
    expected, got = theirs.eval()(x), ours.eval()(x)
    assert expected.std() > 0.01
    return float((got - expected).abs().max())
