"""Convert a user's arrays: images in any usual layout and type, labels in any usual form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError

CHANNELS = (1, 3, 4)
"""Numbers of channels: grey, RGB and RGBA."""

MAX_EXACT_INTEGER = 2**24
"""float32 represents all integers up to this one exactly."""


def as_images(x: NDArray[Any], name: str) -> NDArray[Any]:
    """Return images as (N, C, H, W) in C order: uint8 (bool as 0 and 255), or float32 (all other numbers, not scaled).

    Args:
        x: (N, H, W), (N, C, H, W) or (N, H, W, C), of any byte order.

    Raises:
        InputError: another shape or type, ambiguous channels, or values that float32 cannot represent.
    """
    if x.ndim not in (3, 4) or not x.size:
        raise InputError(
            f"{name} has shape {x.shape}; allowed: (N, H, W), (N, C, H, W) or (N, H, W, C), all at least 1"
        )
    if x.ndim == 3:
        x = x[:, None]
    elif not channels_first(x.shape, name):
        x = x.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(_numbers(x, name))


def channels_first(shape: tuple[int, ...], name: str) -> bool:
    """Whether a shape is (N, C, H, W) and not (N, H, W, C).

    Channels are 1, 3 or 4, or fewer than rows and columns. If that is true for both dimensions, pictures are assumed to
    be square.

    Raises:
        InputError: it is ambiguous.
    """
    _, second, third, last = shape
    first_can = second in CHANNELS or second < min(third, last)
    last_can = last in CHANNELS or last < min(second, third)
    if first_can != last_can:
        return first_can
    if first_can and (third == last) != (second == third):
        return third == last
    raise InputError(
        f"{name} has shape {shape}: are its {second} or its {last} the channels? Allowed are 1, 3 or 4 channels, "
        "or fewer than rows and columns; a single channel may be left out: (N, H, W)"
    )


def _numbers(x: NDArray[Any], name: str) -> NDArray[Any]:
    if x.dtype == np.uint8:
        return x
    if x.dtype == np.bool_:
        return x.astype(np.uint8) * np.uint8(255)
    if x.dtype.kind in "iu":
        if max(abs(int(x.min())), abs(int(x.max()))) > MAX_EXACT_INTEGER:
            raise InputError(
                f"{name} is {x.dtype} and has values beyond {MAX_EXACT_INTEGER:,}, which float32 does not hold exactly"
            )
    elif x.dtype.kind != "f":
        raise InputError(f"{name} is {x.dtype}; allowed: bool, whole numbers or floats")
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if not np.isfinite(single).all():
        raise InputError(f"{name} has values that are not finite (as float32)")
    return single


def as_labels(y: NDArray[Any], name: str, *, count: int) -> NDArray[np.int64]:
    """Return one whole number per image, (N,).

    Args:
        y: whole numbers of any type, (N,) or (N, 1); or one-hot rows, (N, classes).

    Raises:
        InputError: anything else.
    """
    flat = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if flat.ndim == 2 and len(flat) == count and _is_one_hot(flat):
        flat = flat.argmax(1)
    if flat.shape == (count,) and _are_whole(flat):
        return flat.astype(np.int64)
    raise InputError(
        f"{name} is {y.dtype} of shape {y.shape}; needed: {count} whole numbers, one per image, "
        "or one-hot rows; convert class names to numbers with numpy.unique(names, return_inverse=True)"
    )


def _is_one_hot(y: NDArray[Any]) -> bool:
    return _are_whole(y) and bool(np.isin(y, (0, 1)).all() and (y == 1).sum(1).min() == (y == 1).sum(1).max() == 1)


def _are_whole(y: NDArray[Any]) -> bool:
    """Whether all values are bool, integers or integral floats, within the range of int64."""
    if y.dtype.kind == "f":
        return bool((np.isfinite(y) & (y == np.trunc(y)) & (abs(y) < 2.0**53)).all())
    return y.dtype.kind == "b" or (y.dtype.kind in "iu" and (not y.size or int(y.max()) < 2**63))
