"""A picture is read as a viewer shows it, or refused with its name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from resnet_space.errors import InputError
from search.data.image_folder import PictureFiles
from search.data.pictures import FORMATS, TRANSPOSITIONS, read_picture

RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)
RED, WHITE, BLACK, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 0), (0, 0, 255)


def save(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def corners(path: Path, side: int = 8) -> list[tuple[int, ...]]:
    """The colours at top left, top right, bottom left and bottom right."""
    x = read_picture(path, side)
    return [tuple(x[:, row, column].tolist()) for row in (0, -1) for column in (0, -1)]


def near(colour: tuple[int, ...]) -> Any:
    return pytest.approx(colour, abs=4)


def png(path: Path, bits: int, kind: int, row: bytes, width: int, clear: bytes = b"", height: int = 1) -> Path:
    """A PNG with bit depths and colour types that Pillow does not write; with one row, or only a header."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    body = (chunk(b"tRNS", clear) if clear else b"") + chunk(b"IDAT", zlib.compress(b"\0" + row))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("name", "order"), [("a.png", "<u2"), ("a.png", ">u2"), ("a.tif", "<u2"), ("a.tif", ">u2"), ("a.pgm", "<u2")]
)
def test_a_ramp_of_16_bits_keeps_its_levels_in_order(name: str, order: str, tmp_path: Path) -> None:
    x = read_picture(save(tmp_path / name, Image.fromarray(RAMP.astype(order))), 256)
    assert np.array_equal(x, np.broadcast_to(RAMP >> 8, x.shape))


def test_colours_of_16_bits_are_the_upper_byte(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 16, 2, struct.pack(">3H", 0xFFFF, 0x80FF, 0x01FF), width=1)
    assert corners(path)[0] == (0xFF, 0x80, 0x01)


def test_a_pgm_of_10_bits_is_scaled_by_its_greatest_value(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5\n1 1\n1023\n" + struct.pack(">H", 1023))
    assert corners(tmp_path / "a.pgm")[0] == WHITE


def test_a_tiff_whose_white_is_zero_is_inverted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(RAMP), tiffinfo={262: 0})
    with Image.open(path) as picture:
        assert picture.tag_v2[262] == 0  # type: ignore[attr-defined]
    assert np.array_equal(read_picture(path, 256)[0], 255 - (RAMP >> 8))


def test_a_tiff_of_12_bits_has_white_at_4095(tmp_path: Path) -> None:
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 3}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    levels = bytes((0xFF, 0xF8, 0x00))  # 4095 and 2048
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    (tmp_path / "a.tif").write_bytes(struct.pack("<2sHI", b"II", 42, 12) + levels + b"\0" + directory)
    assert corners(tmp_path / "a.tif", side=1)[0] == pytest.approx(((255 + 128) / 2,) * 3, abs=1)


@pytest.mark.parametrize(
    ("kind", "named"), [(np.int32, "32-bit whole numbers"), (np.float32, "floating-point numbers")]
)
def test_pixels_without_a_known_black_and_white_are_refused(kind: Any, named: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(RAMP.astype(kind)))
    with pytest.raises(
        InputError, match=rf"a.tif: pixels are .*{named} .*supported are unsigned 8 and 16 bits per channel"
    ):
        read_picture(path, 8)


def lab(colour: tuple[int, int, int]) -> Image.Image:
    to = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    made = ImageCms.profileToProfile(Image.new("RGB", (8, 8), colour), *to, outputMode="LAB")
    assert made is not None
    return made


COLOURS: dict[str, tuple[str, Callable[[], Image.Image], tuple[int, int, int]]] = {
    "one bit": ("a.png", lambda: Image.new("1", (8, 8), 1), WHITE),
    "grey": ("a.png", lambda: Image.new("L", (8, 8), 77), (77, 77, 77)),
    "palette": ("a.png", lambda: Image.new("RGB", (8, 8), RED).quantize(4), RED),
    "CMYK in a JPEG": ("a.jpg", lambda: Image.new("CMYK", (8, 8), (255, 0, 0, 0)), (0, 255, 255)),
    "CMYK in a TIFF": ("a.tif", lambda: Image.new("CMYK", (8, 8), (0, 255, 255, 0)), RED),
    "YCbCr": ("a.tif", lambda: Image.new("RGB", (8, 8), (200, 30, 60)).convert("YCbCr"), (200, 30, 60)),
    "LAB": ("a.tif", lambda: lab((200, 30, 60)), (200, 30, 60)),
}


@pytest.mark.parametrize("case", COLOURS)
def test_colours_are_those_that_a_viewer_shows(case: str, tmp_path: Path) -> None:
    name, make, colour = COLOURS[case]
    assert corners(save(tmp_path / name, make())) == [near(colour)] * 4


def test_a_cmyk_jpeg_without_adobes_marker_is_inverted_as_browsers_read_it(tmp_path: Path) -> None:
    content = save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (255, 0, 0, 0))).read_bytes()
    start = content.index(b"\xff\xee")
    length = int.from_bytes(content[start + 2 : start + 4], "big")
    (tmp_path / "a.jpg").write_bytes(content[:start] + content[start + 2 + length :])
    assert corners(tmp_path / "a.jpg")[0] == near((0, 255, 255))


def clear_left(mode: str) -> Image.Image:
    """Black with alpha 0 on the left, red or grey 100 with alpha 255 on the right."""
    picture = Image.new("RGBA", (8, 8), (*BLACK, 0))
    picture.paste((*(RED if mode != "LA" else (100, 100, 100)), 255), (4, 0, 8, 8))
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "RGBA"), ("a.webp", "RGBA"), ("a.tif", "RGBA"), ("a.png", "LA"), ("a.tif", "LA"), ("a.tif", "PA")],
)
def test_transparent_pixels_are_white(name: str, mode: str, tmp_path: Path) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    left, right = corners(save(tmp_path / name, clear_left(mode), **options))[:2]
    assert left == WHITE
    assert right == (RED if mode != "LA" else (100, 100, 100))


def test_half_transparent_pixels_are_half_white(tmp_path: Path) -> None:
    assert corners(save(tmp_path / "a.png", Image.new("RGBA", (8, 8), (*BLACK, 128))))[0] == near((127, 127, 127))


@pytest.mark.parametrize(("name", "clear"), [("a.png", 0), ("a.png", b"\0\xff"), ("a.gif", 0)])
def test_a_transparent_colour_of_a_palette_is_white(name: str, clear: int | bytes, tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([*BLUE, *RED])
    picture.paste(1, (4, 0, 8, 8))
    assert corners(save(tmp_path / name, picture, transparency=clear))[:2] == [WHITE, RED]


@pytest.mark.parametrize(
    ("bits", "kind", "row", "clear", "width"),
    [
        (1, 0, b"\x40", b"\0\0", 2),
        (8, 0, b"\x07\xff", b"\0\x07", 2),
        (16, 0, b"\x07\x08\xff\xff", b"\x07\x08", 2),
        (8, 2, b"\x01\x02\x03\xff\xff\xff", b"\0\x01\0\x02\0\x03", 2),
    ],
    ids=["1 bit", "8 bits", "16 bits", "colour"],
)
def test_the_transparent_level_of_a_png_is_white(
    bits: int, kind: int, row: bytes, clear: bytes, width: int, tmp_path: Path
) -> None:
    assert np.all(read_picture(png(tmp_path / "a.png", bits, kind, row, width, clear), 2) == 255)
    assert not np.all(read_picture(png(tmp_path / "a.png", bits, kind, row, width), 2) == 255)


@pytest.mark.parametrize(
    ("bits", "kind", "row", "clear"),
    [(2, 0, b"\x40", b"\0\x01"), (4, 0, b"\x10", b"\0\x01"), (16, 2, b"\1\2\1\2\1\2", b"\1\2\1\2\1\2")],
)
def test_a_transparent_level_that_pillow_compares_at_another_scale_is_refused(
    bits: int, kind: int, row: bytes, clear: bytes, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"a.png: .*-bit .* with a transparent level is not supported; save it with 8 bits"
    ):
        read_picture(png(tmp_path / "a.png", bits, kind, row, 1, clear), 2)


# Where the white quarter, stored at the top left, is shown: top left, top right, bottom left, bottom right.
SHOWN = {1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_picture_is_turned_as_its_exif_says(ending: str, orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{ending}", Image.fromarray(pixels), exif=exif)
    assert corners(path) == [near(WHITE if place == SHOWN[orientation] else BLACK) for place in range(4)]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_picture_that_is_not_square_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((4, 12), np.uint8)
    pixels[:, :6] = 255  # left, so that it is shown above or below
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = read_picture(save(tmp_path / "a.png", Image.fromarray(pixels), exif=exif), 4)
    assert [int(shown[0, 0, 0]), int(shown[0, -1, -1])] == ([255, 0] if orientation in (5, 6) else [0, 255])


def test_pictures_of_16_bits_are_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    path = save(tmp_path / "a.png", Image.fromarray(RAMP), exif=exif)
    assert np.array_equal(read_picture(path, 256)[0], (RAMP >> 8)[::-1, ::-1])


@pytest.mark.parametrize("exif", [b"Exif\0\0" + b"rubbish", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b""])
def test_a_picture_with_damaged_exif_is_shown_as_it_is_stored(exif: bytes, tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.new("RGB", (8, 8), RED), exif=exif)
    x = PictureFiles((path,), side=8)[np.array([0])]  # reads without Pillow's warnings, which are errors here
    assert tuple(x[0, :, 0, 0].tolist()) == near(RED)


def test_transpositions_are_those_of_exif() -> None:
    assert sorted(TRANSPOSITIONS) == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "apng"])
def test_the_first_frame_of_an_animation_is_read(ending: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    options = {"format": "PNG"} if ending == "apng" else {}
    path = save(tmp_path / f"a.{ending}", frames[0], save_all=True, append_images=frames[1:], **options)
    assert corners(path) == [near(RED)] * 4


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    path = save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"a.tif: a TIFF of several pages; .*save each page as a file"):
        read_picture(path, 8)


def test_a_colour_profile_is_ignored(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), (10, 200, 30))
    assert corners(save(tmp_path / "a.png", picture, icc_profile=b"no profile"))[0] == (10, 200, 30)


def test_a_png_called_jpg_is_read(tmp_path: Path) -> None:
    assert corners(save(tmp_path / "a.jpg", Image.new("RGB", (8, 8), RED), format="PNG"))[0] == RED


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_a_picture_of_any_proportion_is_read(size: tuple[int, int], tmp_path: Path) -> None:
    assert corners(save(tmp_path / "a.png", Image.new("RGB", size, RED))) == [RED] * 4


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "bmp", "ppm", "tif"])
@pytest.mark.parametrize("keep", [0.0, 0.7])
def test_an_incomplete_picture_is_damaged(ending: str, keep: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    content = save(tmp_path / f"a.{ending}", Image.fromarray(noise)).read_bytes()
    (tmp_path / f"a.{ending}").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=rf"a.{ending}: damaged: "):
        read_picture(tmp_path / f"a.{ending}", 8)


@pytest.mark.parametrize("content", [b"only text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_file_that_is_not_a_picture_is_damaged_and_starts_no_program(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"a.jpg: damaged: cannot identify image file"):
        read_picture(tmp_path / "a.jpg", 8)


def test_a_picture_with_too_many_pixels_is_refused_before_reading(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 8, 2, b"", width=50_000, height=50_000)
    with pytest.raises(InputError, match=r"a.png: too many pixels: .*2500000000 pixels.*; save it smaller"):
        read_picture(path, 8)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.png: No such file"):
        read_picture(tmp_path / "a.png", 8)


def test_every_format_is_one_of_pillows() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
