"""The networks of a trial whose training images grow: the same weights, on maps of other sizes."""

from __future__ import annotations

from resnet_space import Architecture, build
from resnet_space.errors import InputError
from search.trials.recipe import Recipe


def at_sides(net: Architecture, recipe: Recipe) -> tuple[Architecture, ...]:
    """Return the network for images of each side that the recipe trains with, and for those of the data, last.

    Raises:
        InputError: the network does not fit images of one of these sides, or its weights depend on the side.
    """
    sides = recipe.augmentation.sides
    if sides is None:
        return (net,)
    channels, full, _ = net.input_shape
    found = []
    for side in sorted({*sides.all(full)} - {full}):
        try:
            found.append(net.assign({"input_shape": [channels, side, side]}))
        except InputError as error:
            raise InputError(f"recipe.augmentation.sides: {side} is too small for network {net.key}: {error}") from None
    # Weights that depend on the side differ for all sides.
    if found and _weights(found[0]) != _weights(net):
        raise InputError(
            f"recipe.augmentation.sides: network {net.key} has a layer as large as the image, and so takes no images "
            f"of {found[0].input_shape[1]}x{found[0].input_shape[2]}; leave sides out"
        )
    return (*found, net)


def _weights(net: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight, without computing any."""
    import torch

    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in build(net).named_parameters()}
