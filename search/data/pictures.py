"""Read one picture as a viewer shows it: upright, on white, in 8-bit RGB; or refuse it by its name.

Embedded colour profiles and gamma are ignored, as training pipelines do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resnet_space.errors import InputError
from search.data.source import damaged

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
        "PNG": (".png", ".apng"),
        "GIF": (".gif",),
        "WEBP": (".webp",),
        "AVIF": (".avif",),
        "BMP": (".bmp",),
        "DIB": (".dib",),
        "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
        "TIFF": (".tif", ".tiff"),
    }
)
"""Pillow's decoders that may see a user's file, since some of the others start programs; and the endings of names.

The ending only says that a file is a picture: a PNG called .jpg is read as a PNG.
"""

SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)

TURNS: Mapping[int, str] = MappingProxyType(
    {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_270",
        7: "TRANSVERSE",
        8: "ROTATE_90",
    }
)
"""What makes a picture upright, by its EXIF orientation."""

ORIENTATION, BITS, PHOTOMETRIC = 0x0112, 258, 262
"""Tags of EXIF and TIFF 6.0."""

CLEAR_LEVEL_LOST = {"L;2": "2-bit grey", "L;4": "4-bit grey", "RGB;16B": "16-bit colour"}
"""Layouts of a PNG whose one transparent level Pillow compares with pixels that are already scaled to 8 bits."""


def read_picture(path: Path, side: int) -> NDArray[Any]:
    """One picture, (3, side, side) uint8: its shorter side scaled to `side` (bilinear), centre cropped.

    Raises:
        InputError: names the file that is no picture, or a part of one, or that has no single right reading.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=tuple(FORMATS)) as picture:
            square = ImageOps.fit(shown(picture), (side, side), Image.Resampling.BILINEAR)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too many pixels: {error}; save it smaller") from None
    except OSError as error:
        if error.errno is None:
            raise damaged(path, error) from None
        raise InputError(f"{path}: {error.strerror}") from None
    except Exception as error:  # a damaged picture can raise anything that its decoder can
        raise damaged(path, f"{type(error).__name__}: {error}") from None
    return np.asarray(square).transpose(2, 0, 1)


def shown(picture: Image) -> Image:
    """An opened picture in RGB, as a viewer shows it; of an animation the first frame.

    Raises:
        InputError: without the name of the file, which only the caller knows.
    """
    if picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1:
        raise InputError("a TIFF of several pages; one picture a file is read: save each page as a file")
    if picture.mode not in READERS:
        raise InputError(f"pixels of mode {picture.mode}, which is not read; save it as 8-bit RGB")
    rgb = READERS[picture.mode](picture)
    return upright(rgb, orientation(picture))


def orientation(picture: Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none, or none that can be read. A TIFF is turned as it is loaded."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF raises anything, and viewers show such a picture as it is stored
        return 1


def upright(picture: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    return picture.transpose(Transpose[TURNS[orientation]]) if orientation in TURNS else picture


def _eight_bits(picture: Image) -> Image:
    """RGB; what is transparent is laid on white, since the colours under it are not seen."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layout = picture.tile[0].args if picture.format == "PNG" and picture.tile else None  # type: ignore[attr-defined]
    if layout in CLEAR_LEVEL_LOST:
        raise InputError(f"{CLEAR_LEVEL_LOST[layout]} with a transparent level is not read; save it with 8 bits")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def _sixteen_bits(picture: Image) -> Image:
    """Grey v >> 8, or v >> 4 of a TIFF of 12 bits. Pillow's own conversion would clip at 255."""
    from PIL import Image

    levels, tags = np.asarray(picture), getattr(picture, "tag_v2", {})
    grey = (levels >> (tags.get(BITS, (16,))[0] - 8)).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == 0:  # white is zero
        grey = 255 - grey
    clear = picture.info.get("transparency")
    if clear is not None:
        grey = np.where(levels == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _whole_numbers(picture: Image) -> Image:
    """A PGM of more than 8 bits, which Pillow scales to 0..65535."""
    return _sixteen_bits(picture) if picture.format == "PPM" else _without_range(picture)


def _without_range(picture: Image) -> Image:
    raise InputError(
        f"pixels are {WITHOUT_RANGE[picture.mode]} (mode {picture.mode}), and the file does not say which of them "
        "are black and white; read are 8 and 16 bits a channel, unsigned: save it so, scaled to that range"
    )


WITHOUT_RANGE = {"I": "signed or 32-bit whole numbers", "F": "floating-point numbers"}

READERS: Mapping[str, Callable[[Image], Image]] = MappingProxyType(
    dict.fromkeys(("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"), _eight_bits)
    | dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), _sixteen_bits)
    | {"I": _whole_numbers, "F": _without_range}
)
"""How pixels of each of Pillow's modes become RGB."""
