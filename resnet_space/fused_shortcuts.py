"""The fused form of shortcuts that differ between networks: one formula, in which each network has its own constants.

Layers of a shortcut, such as a gate, apply to the channels of the networks that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space.norm_layers import DenseGradient
from resnet_space.shortcuts import ShortcutKind


class Shortcuts(nn.Module):
    """The shortcuts of networks that differ in them: each network has its own constants, and maybe its own layers."""

    concatenates = False

    def __init__(self, carry: Mixed, gate: Mixed | None, formulas: Sums) -> None:
        super().__init__()
        self.sum, self.carry, self.gate = formulas, carry, gate

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        y: Tensor = self.sum(self.carry(x, f), f, self.gate(x, f) if self.gate else None)
        return y


class Mixed(nn.Module):
    """Different layers in different networks, [m_1(x_1), m_2(x_2), ...], where x_i has the channels of some networks.

    Networks that are next to each other and have equal layers are one run, whose layers are fused. A layer that returns
    None counts as one that returns zeros.
    """

    def __init__(self, runs: Sequence[nn.Module], networks: Sequence[int]) -> None:
        """`networks` are the numbers of networks of the runs."""
        super().__init__()
        self.runs, self.networks = nn.ModuleList(runs), tuple(networks)

    def forward(self, x: Tensor, f: Tensor) -> Tensor | None:
        """Return maps of the shape of f, (N, K*C, H, W), or one number for each network, (K,)."""
        if len(self.runs) == 1:
            only: Tensor | None = self.runs[0](x)
            return only
        made = [_on_channels(run, part) for run, part in zip(self.runs, self._split(x), strict=True)]
        if all(y is None or y.dim() == 1 for y in made):
            return torch.cat([f.new_zeros(k) if y is None else y for y, k in zip(made, self.networks, strict=True)])
        maps = [_as_map(y, part) for y, part in zip(made, self._split(f), strict=True)]
        return by_channel(maps)

    def _split(self, x: Tensor) -> Sequence[Tensor]:
        """Split (N, K*C, H, W) into the channels of each run, without copies."""
        each = x.shape[1] // sum(self.networks)
        parts: Sequence[Tensor] = Split.apply(x, [networks * each for networks in self.networks])
        return parts


def _on_channels(run: nn.Module, x: Tensor) -> Tensor | None:
    """Apply a module to some channels of a map. Its layers get dense tensors: others slow down BN several times."""
    if isinstance(run, nn.Identity):
        return x
    y: Tensor | None = run(x.contiguous(memory_format=torch.channels_last))
    return y if y is None or y.dim() < 4 else DenseGradient.apply(y)


class Split(torch.autograd.Function):
    """Split a map by channel, without copies. The gradient is channels last: torch's is not if a part was not used."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, channels: Sequence[int]) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        made = torch.split(x, list(channels), 1)
        ctx.shapes = [part.shape for part in made]
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, None]:
        like = next(each for each in gradients if each is not None)
        parts = zip(gradients, ctx.shapes, strict=True)
        return by_channel([like.new_zeros(shape) if each is None else each for each, shape in parts]), None


def _as_map(y: Tensor | None, like: Tensor) -> Tensor:
    if y is None:
        return torch.zeros_like(like)
    # Scalars, one per network or per channel, are repeated over the pixels.
    return (y if y.dim() > 1 else spread(y, like)).expand_as(like)


class Sums(nn.Module):
    """Different linear formulas in different networks: y = (a + a' g)*x + (b + b' g)*F(x), see `coefficients`."""

    def __init__(self, shortcuts: Sequence[ShortcutKind]) -> None:
        super().__init__()
        self.columns = [*zip(*(shortcut.coefficients for shortcut in shortcuts), strict=True)]
        self._made: dict[tuple[torch.Size, torch.dtype, torch.device], list[float | Tensor]] = {}

    def forward(self, x: Tensor | None, f: Tensor, g: Tensor | None) -> Tensor:
        if g is not None and g.dim() == 1:
            g = spread(g, f)
        a, a_of_g, b, b_of_g = self._coefficients(f)
        scaled = _product(_with_gate(b, b_of_g, g), f)
        if x is None:
            return scaled
        scale = _with_gate(a, a_of_g, g)
        y = torch.addcmul(scaled, scale, x) if isinstance(scale, Tensor) else scaled + _product(scale, x)
        return y.to(torch.result_type(x, f))

    def _coefficients(self, f: Tensor) -> list[float | Tensor]:
        """Return each coefficient: a number if it is the same in all networks, or else a map (1, K*C, H, W).

        A map, because torch's loop over (1, K*C, 1, 1) has only the channels in its inner part, which is slower than
        reading the map.
        """
        # Not in bf16, in which a number such as 0.3 has an error of up to a few thousandths.
        kind = f.shape[1:], torch.promote_types(f.dtype, torch.float32), f.device
        if kind not in self._made:
            # Kept: a copy to a GPU cannot be recorded in a CUDA graph.
            self._made[kind] = [column[0] if len({*column}) == 1 else _map(column, *kind) for column in self.columns]
        return self._made[kind]

    def extra_repr(self) -> str:
        return f"{self.columns}"


def _map(numbers: Sequence[float], shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return each network's number in all of its channels: (1, K*C, H, W), channels last."""
    channels, height, width = shape
    by_channel = torch.tensor(numbers, dtype=dtype).repeat_interleave(channels // len(numbers)).view(1, -1, 1, 1)
    return by_channel.repeat(1, 1, height, width).contiguous(memory_format=torch.channels_last).to(device)


def _with_gate(constant: float | Tensor, factor: float | Tensor, g: Tensor | None) -> float | Tensor:
    """Return constant + factor * g with as few operations as possible."""
    if g is None or (not isinstance(factor, Tensor) and factor == 0):
        return constant
    if isinstance(constant, Tensor) and isinstance(factor, Tensor):
        return torch.addcmul(constant, factor, g)
    if not isinstance(factor, Tensor) and factor == -1:
        return constant - g
    product = _product(factor, g)
    return product if not isinstance(constant, Tensor) and constant == 0 else constant + product


def _product(factor: float | Tensor, x: Tensor) -> Tensor:
    return x if not isinstance(factor, Tensor) and factor == 1 else factor * x


def spread(numbers: Tensor, f: Tensor) -> Tensor:
    """Repeat each network's number, (K,), for all its channels in f, (N, K*C, H, W): returns (1, K*C, 1, 1)."""
    return numbers.repeat_interleave(f.shape[1] // len(numbers)).view(1, -1, 1, 1)


def by_channel(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate (N, C_i, H, W) by channel, in the order in memory: channels last."""
    return torch.cat([each.permute(0, 2, 3, 1) for each in maps], 3).permute(0, 3, 1, 2)
