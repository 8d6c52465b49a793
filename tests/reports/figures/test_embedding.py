"""A figure embedded in a page has the page's colours, and marks its arms."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
from pages import costs, html_of

from reports.figures import embedding, style
from reports.figures.palette import BLACK, MARKERS, PALETTE, colour
from reports.figures.style import GREY


def test_an_embedded_figure_takes_its_colours_from_the_page() -> None:
    svg = embedding.svg(costs().figure, "points")
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert colours == set()
    assert "currentColor" in svg
    assert {f"var(--figure-{name}" for name in ("blue", "vermillion", "green", "grid")} <= set(
        re.findall(r"var\(--figure-\w+", svg)
    )
    assert "var(--paper, white)" in svg


def test_every_colour_of_figures_is_defined_in_the_page() -> None:
    lists = html_of()
    for tone in embedding.TONES.values():
        assert lists.count(f"--figure-{tone.name}: ") == 2
    assert {tone.print for tone in PALETTE if tone.print != BLACK} <= set(embedding.TONES)


def test_the_markers_of_arms_in_a_table_differ_in_colour_and_shape() -> None:
    keys = [embedding.key(index) for index in range(len(PALETTE))]
    assert len({re.findall('fill: (.*?)"', key)[0] for key in keys}) == len(keys)
    shapes = [re.findall(' d="(.*?)"', key)[0] for key in keys]
    assert len(set(shapes[: len(MARKERS)])) == len(MARKERS)
    assert all(ET.fromstring(key).get("aria-hidden") == "true" for key in keys)


def test_an_arm_that_figures_leave_out_has_a_grey_marker() -> None:
    assert colour(len(PALETTE)) == GREY
    assert "var(--figure-grey" in embedding.key(len(PALETTE))


def test_an_embedded_figure_has_no_fixed_size_and_no_background() -> None:
    svg = embedding.svg(costs().figure)
    root = ET.fromstring(svg)
    assert not {"width", "height"} & set(root.attrib)
    assert root.attrib["style"] == "width: 100%; height: auto"
    assert not svg.startswith("<?xml")
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_embedding_gives_the_same_text_each_time_and_does_not_change_the_figure() -> None:
    figure = costs().figure
    assert embedding.svg(figure) == embedding.svg(figure) == embedding.svg(costs().figure)
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_ids_of_two_figures_are_different() -> None:
    one, other = (set(re.findall(r' id="([^"]+)"', embedding.svg(costs().figure, prefix=prefix))) for prefix in "ab")
    assert one
    assert not one & other


def test_all_elements_of_an_arm_are_marked_in_a_figure() -> None:
    root = ET.fromstring(embedding.svg(costs().figure))
    found = Counter(element.get("data-arm") for element in root.iter() if "data-arm" in element.attrib)
    # Point, spread, number, key and name.
    assert found == {"0": 5, "1": 5, "2": 5}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_letters_have_enough_contrast_with_the_background(theme: str) -> None:
    dark = theme == "dark"
    ground = embedding.DARK if dark else embedding.LIGHT
    for tone in embedding.TONES.values():
        least = 1.0 if tone.name == "grid" else 3.0
        assert embedding.contrast(tone.on_dark if dark else tone.on_light, ground) >= least, tone
    css = html_of().split("@media screen")[dark]
    variables = dict(re.findall(r"--(\w+): (#\w{6});", css))
    assert variables["paper"].upper() == ground
    for name in ("ink", "quiet", "link", "alert"):
        for on in ("paper", "lit"):
            assert embedding.contrast(variables[name], variables[on]) >= 4.5, (name, on)


def test_contrast_is_computed_as_in_the_guidelines() -> None:
    # https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio: 4.54 for #767676, the lightest grey for text on white.
    assert embedding.contrast("#FFFFFF", "#767676") == pytest.approx(4.54, abs=0.005)
    assert embedding.contrast(style.ORANGE, "#FFFFFF") < 3
