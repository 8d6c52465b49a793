"""Draw initial weights so that networks of one seed are paired: layers that they share start with equal weights."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from resnet_space.modules import ResidualNet


def initialise(model: ResidualNet, seed: int) -> None:
    """Draw all weights, each layer from its own generator.

    The generator's seed is a hash of `seed`, the layer's position (stem; branch, shortcut or gate of the i-th unit;
    head), its weight's shape, and the number of layers of this shape before it at this position. So two networks of the
    same seed have equal weights in the layers that they share: another order, shortcut or depth changes no other layer.
    Layers of different shapes are drawn independently.
    """
    from resnet_space.conv_layers import draw_weights

    seen: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for name, layer in model.named_modules():
        weight = getattr(layer, "weight", None)
        # Normalisations start at 1 and 0, and learned scalars at a constant: nothing is drawn.
        if weight is None or not isinstance(layer, torch.nn.Conv2d | torch.nn.Conv1d | torch.nn.Linear):
            continue
        position = (_position(name), tuple(weight.shape))
        generator = torch.Generator().manual_seed(_number(seed, *position, seen[position]))
        seen[position] += 1
        draw_weights(layer, generator)
    model.begin()


def _position(name: str) -> str:
    """The position of a layer, such as `units.3.F` for `units.3.F.2`: without its index, which depends on the order."""
    parts = name.split(".")
    return ".".join(parts[:4] if "gate" in parts else parts[:3] if parts[0] == "units" else parts[:1])


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8])
