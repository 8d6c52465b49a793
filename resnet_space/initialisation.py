"""Weights drawn so that a seed pairs networks: layers that two of them have in common begin alike."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from resnet_space.modules import ResidualNet


def initialise(model: ResidualNet, seed: int) -> None:
    """Draw every weight anew, each layer from a generator of its own.

    The generator's seed is a hash of `seed`, of where the layer stands (stem, branch, shortcut or gate of the i-th
    unit, head), of its weight's shape, and of how many layers of that shape stand there before it. So two networks of
    the same seed have the same weights in what they share, whatever stands between: another order, shortcut or depth
    moves no other layer's draw. Layers of another shape are drawn independently.
    """
    from resnet_space.chains import draw

    seen: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for name, layer in model.named_modules():
        weight = getattr(layer, "weight", None)
        # Of a normalisation's 1 and 0, and of a learned scalar, nothing is drawn.
        if weight is None or not isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            continue
        place = (_place(name), tuple(weight.shape))
        generator = torch.Generator().manual_seed(_number(seed, *place, seen[place]))
        seen[place] += 1
        draw(layer, generator)
    model.begin()


def _place(name: str) -> str:
    """`units.3.F` of `units.3.F.2`: without the numbers by which an order's parts count."""
    parts = name.split(".")
    return ".".join(parts[:4] if "gate" in parts else parts[:3] if parts[0] == "units" else parts[:1])


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8])
