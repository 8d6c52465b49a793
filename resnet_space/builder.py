"""From a description to a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_space.architecture import Architecture

if TYPE_CHECKING:
    from resnet_space.modules import ResidualNet


def build(net: Architecture, seed: int | None = None, *, recompute: bool = False) -> ResidualNet:
    """The network as a `torch.nn.Module`: (N, *net.input_shape) float to logits (N, net.classes).

    Weights: convolutions by He et al. 2015 (1502.01852, fan-out), gates' biases at their `gate_bias`; drawn from
    torch's global generator or, with a `seed`, so that networks of the same seed share them (`initialise`).
    With `recompute` a training step computes the branches' activations anew on the way back instead of keeping them:
    the same numbers in less memory, for about a third more time.
    """
    from resnet_space.modules import ResidualNet

    model = ResidualNet(net.blueprint)
    if seed is not None:
        from resnet_space.initialisation import initialise

        initialise(model, seed)
    for unit in model.units:
        unit.recompute = recompute  # type: ignore[assignment]
    return model
