"""Figures embedded in a page: SVG that uses the page's colours, in the light and dark themes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from io import BytesIO

from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from reports.figures import style
from reports.figures.palette import INK, PALETTE, Tone, colour, marker
from reports.figures.style import FORMATS, GREY, GRID

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"

COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
"""Commands of a path in SVG, by their codes in matplotlib."""

LIGHT, DARK = "#FFFFFF", "#16181C"
"""Background colours of a page by theme."""

TONES = {
    **{tone.print: tone for tone in PALETTE if tone.name != INK},
    GREY: Tone("grey", GREY, "#808080", "#8C8C8C"),
    GRID: Tone("grid", GRID, "#E6E6E6", "#2E3238"),
}
"""The CSS variables of figures by their colours in matplotlib; black is the colour of the text."""


def svg(figure: Figure, alt: str = "", prefix: str = "figure") -> str:
    """Return a figure as an `<svg>` element for a page; `alt` is its text alternative.

    Ids start with `prefix`, which must be unique in the page. An element with the gid `arm-{index}-{part}` gets
    `data-arm="{index}"`. Black becomes the text colour, white the background, and other colours the CSS variables of
    `variables`. It is as wide as its column. Equal figures give identical text.
    """
    with style.applied():
        file = BytesIO()
        figure.savefig(file, format="svg", transparent=True, **FORMATS["svg"])
    root = ET.fromstring(file.getvalue())
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', file.getvalue().decode()))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{SVG}metadata", f"{SVG}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        _name(element, used, prefix)
        for name in ("style", "fill", "stroke"):
            if name in element.attrib:
                element.set(name, _themed(element.attrib[name]))
    root.attrib = {
        "xmlns": SVG.strip("{}"),
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{prefix}-title",
        # Matplotlib omits black, so elements without a colour get the text colour.
        "fill": "currentColor",
        "stroke-linejoin": "round",
        "style": "width: 100%; height: auto",
    }
    title = ET.Element("title", {"id": f"{prefix}-title"})
    title.text = printable(alt)
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode")


def variables(dark: bool) -> str:
    """Return the colours of figures in a theme as declarations of CSS variables."""
    return "\n".join(f"  --figure-{tone.name}: {tone.on_dark if dark else tone.on_light};" for tone in TONES.values())


@cache
def key(index: int) -> str:
    """Return the marker of an arm in its colour as a small `<svg>` element, hidden from screen readers."""
    style = MarkerStyle(marker(index))
    path = style.get_path().transformed(style.get_transform())
    filled = "".join(
        f"{COMMANDS[code]}{' '.join(f'{number:.3g}' for number in points) if code != Path.CLOSEPOLY else ''}"
        for points, code in path.iter_segments(curves=True)
    )
    tone = _themed(colour(index).lower())
    return (
        '<svg class="swatch" viewBox="-0.75 -0.75 1.5 1.5" aria-hidden="true">'
        f'<path transform="scale(1 -1)" style="fill: {tone}" d="{filled}"/></svg>'
    )


def printable(text: str) -> str:
    """Return text with characters that HTML or XML forbid (control characters, lone surrogates) replaced by `�`."""
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", text)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21: (L1 + 0.05) / (L2 + 0.05), L = relative luminance (WCAG 2.2).

    >>> contrast("#000000", "#FFFFFF")
    21.0
    """
    darker, lighter = sorted(_luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _name(element: ET.Element, used: set[str], prefix: str) -> None:
    """Remove ids that nothing refers to, and prefix the others and the references to them."""
    name = element.attrib.pop("id", "")
    if found := re.fullmatch(r"arm-(\d+)-\w+", name):
        element.set("data-arm", found[1])
    elif name in used:
        element.set("id", f"{prefix}-{name}")
    if (target := element.attrib.pop(f"{XLINK}href", None)) is not None:
        # A picture is its own content, `data:image/png;...`; anything else is the id of another element.
        element.set("href", f"#{prefix}-{target[1:]}" if target.startswith("#") else target)
    if (clip := element.get("clip-path")) is not None:
        element.set("clip-path", clip.replace("url(#", f"url(#{prefix}-"))


def _themed(colours: str) -> str:
    for original, tone in TONES.items():
        colours = colours.replace(original.lower(), f"var(--figure-{tone.name}, {original})")
    return colours.replace("#000000", "currentColor").replace("#ffffff", "var(--paper, white)")
