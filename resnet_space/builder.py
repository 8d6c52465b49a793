"""Build the torch module of a description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_space.architecture import Architecture

if TYPE_CHECKING:
    from resnet_space.modules import ResidualNet


def build(net: Architecture, seed: int | None = None, *, recompute: bool = False) -> ResidualNet:
    """Return the network as a `torch.nn.Module`: from floats (N, *net.input_shape) to logits (N, net.classes).

    Convolutions are initialised after He et al. 2015 (1502.01852, fan-out), the biases of gates to `gate_bias`. Random
    numbers come from torch's global generator; with a `seed`, networks of the same seed share initial weights, see
    `initialise`. With `recompute`, the backward pass computes the branches' activations again instead of storing them:
    the same numbers with less memory, for about a third more time.
    """
    from resnet_space.modules import ResidualNet

    model = ResidualNet(net.blueprint)
    if seed is not None:
        from resnet_space.initialisation import initialise

        initialise(model, seed)
    for unit in model.units:
        unit.recompute = recompute  # type: ignore[assignment]
    return model
