"""Read a picture as a viewer shows it: upright, on white, in 8-bit RGB; or refuse it with its name.

Embedded colour profiles and gamma are ignored, as in common training pipelines.
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
"""The Pillow decoders that are allowed, with their file suffixes. Some of Pillow's other decoders start programs.

The suffix only marks a file as a picture: a PNG called .jpg is read as a PNG.
"""

SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)

TRANSPOSITIONS: Mapping[int, str] = MappingProxyType(
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
"""The transposition that makes a picture upright, by its EXIF orientation."""

ORIENTATION, BITS, PHOTOMETRIC = 0x0112, 258, 262
"""Tags of EXIF and TIFF 6.0."""

UNSUPPORTED_TRANSPARENCY = {"L;2": "2-bit grey", "L;4": "4-bit grey", "RGB;16B": "16-bit colour"}
"""PNG layouts with one transparent level, which Pillow wrongly compares with pixels already scaled to 8 bits."""


def read_picture(path: Path, side: int) -> NDArray[Any]:
    """Read a picture as (3, side, side) uint8: its shorter side scaled to `side` (bilinear), centre cropped.

    Raises:
        InputError: the file is not a picture, is incomplete, or its pixels are ambiguous; the message has its name.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=tuple(FORMATS)) as picture:
            square = ImageOps.fit(as_rgb(picture), (side, side), Image.Resampling.BILINEAR)
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


def as_rgb(picture: Image) -> Image:
    """Return an opened picture in RGB, as a viewer shows it; for an animation, its first frame.

    Raises:
        InputError: it is not supported. The message lacks the file's name, which the caller adds.
    """
    if picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1:
        raise InputError("a TIFF of several pages; only one picture per file is supported: save each page as a file")
    if picture.mode not in READERS:
        raise InputError(f"pixel mode {picture.mode} is not supported; save it as 8-bit RGB")
    rgb = READERS[picture.mode](picture)
    return upright(rgb, orientation(picture))


def orientation(picture: Image) -> int:
    """Return the EXIF orientation, 1..8; 1 if there is none, or it cannot be read. Pillow turns a TIFF when loading."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF raises anything, and viewers show such a picture as it is stored
        return 1


def upright(picture: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    return picture.transpose(Transpose[TRANSPOSITIONS[orientation]]) if orientation in TRANSPOSITIONS else picture


def _eight_bits(picture: Image) -> Image:
    """Return RGB with transparent parts on white, since a viewer does not show the colours of transparent pixels."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layout = picture.tile[0].args if picture.format == "PNG" and picture.tile else None  # type: ignore[attr-defined]
    if layout in UNSUPPORTED_TRANSPARENCY:
        raise InputError(
            f"{UNSUPPORTED_TRANSPARENCY[layout]} with a transparent level is not supported; save it with 8 bits"
        )
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def _sixteen_bits(picture: Image) -> Image:
    """Return grey v >> 8, or v >> 4 for a TIFF of 12 bits. Pillow's own conversion would clip at 255."""
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
    """Convert a PGM of more than 8 bits, which Pillow scales to 0..65535; refuse other formats."""
    return _sixteen_bits(picture) if picture.format == "PPM" else _without_range(picture)


def _without_range(picture: Image) -> Image:
    raise InputError(
        f"pixels are {WITHOUT_RANGE[picture.mode]} (mode {picture.mode}), and the file does not say which values "
        "are black and white; supported are unsigned 8 and 16 bits per channel: save it scaled to that range"
    )


WITHOUT_RANGE = {"I": "signed or 32-bit whole numbers", "F": "floating-point numbers"}

READERS: Mapping[str, Callable[[Image], Image]] = MappingProxyType(
    dict.fromkeys(("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV"), _eight_bits)
    | dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), _sixteen_bits)
    | {"I": _whole_numbers, "F": _without_range}
)
"""How to convert each of Pillow's pixel modes to RGB."""
