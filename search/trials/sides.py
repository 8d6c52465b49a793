"""The networks of a trial whose training images grow: the same weights, on maps of other sizes."""

from __future__ import annotations

from resnet_space import Architecture, complexity
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
            small = net.assign({"input_shape": [channels, side, side]})
            fits = complexity(small).params == complexity(net).params
        except InputError as error:
            raise InputError(f"recipe.augmentation.sides: {side} is too small for network {net.key}: {error}") from None
        if not fits:
            raise InputError(
                f"recipe.augmentation.sides: network {net.key} has a layer as large as the image, and so takes no "
                f"images of {side}x{side}; leave sides out"
            )
        found.append(small)
    return (*found, net)
