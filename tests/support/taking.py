"""A small trained network, and what it computes: for tests of exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from resnet_space import Architecture, build
from search.training import checkpoint

Take = Callable[..., list[Path]]

STAGE = {"units": 1, "channels": 8, "stride": 2}
NET = Architecture.of({"input_shape": [1, 8, 8], "stem": {"channels": 4}, "stages": [STAGE]})


def trained_once(net: Architecture, folder: Path) -> Path:
    """Weights that are not the initial ones, with running means and variances to match."""
    torch.manual_seed(1)
    model = build(net)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(3):
            model(torch.randn(16, *net.input_shape))
    checkpoint.save_weights(folder, model)
    return folder / checkpoint.WEIGHTS


def images(net: Architecture) -> Tensor:
    return torch.randn(5, *net.input_shape, generator=torch.Generator().manual_seed(7))


@torch.no_grad()
def logits(model: nn.Module, net: Architecture) -> Tensor:
    out: Tensor = model(images(net))
    return out


def expected(net: Architecture, weights: Path) -> Tensor:
    """The logits of torch with the trial's weights."""
    model = build(net)
    model.load_state_dict(load_file(weights))
    return logits(model.eval(), net)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
