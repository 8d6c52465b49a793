"""From a description to a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_space.architecture import Architecture

if TYPE_CHECKING:
    from resnet_space.modules import ResidualNet


def build(net: Architecture) -> ResidualNet:
    """The network as a `torch.nn.Module`: (N, *net.input_shape) float to logits (N, net.classes).

    Weights are drawn from torch's global generator: convolutions by He et al. 2015 (1502.01852, fan-out), gates' biases
    at their `gate_bias`.
    """
    from resnet_space.modules import ResidualNet

    return ResidualNet(net.blueprint)
