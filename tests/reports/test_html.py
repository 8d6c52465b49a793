"""A page is one file that makes no requests, and is complete without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from pages import HOSTILE, forest, grid, html_of, study

from reports import html as renderer
from reports.page import Cell, Facts, Grid, Link, Page, Picture, Section, Text


class Read(HTMLParser):
    """Parsed HTML: elements with attributes, text by tag, and the tags that are still open."""

    EMPTY = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"duplicate attribute: {tag} {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag] = self.texts.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_page_is_well_formed_and_its_ids_are_unique() -> None:
    read = Read(html_of())
    assert read.open == []
    known = Counter(attributes["id"] for _, attributes in read.elements if "id" in attributes)
    assert set(known.values()) == {1}
    targets = [a["href"] for tag in ("a", "use") for a in read.all(tag)] + [
        f"#{name}"
        for _, a in read.elements
        for key in ("aria-labelledby",)
        if key in a
        for name in (a[key] or "").split()
    ]
    targets += re.findall(r"url\((#[^)]+)\)", html_of())
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(known)


def test_every_figure_has_a_text_alternative() -> None:
    html = html_of()
    svgs = [ET.fromstring(found) for found in re.findall(r"<svg xmlns.*?</svg>", html, re.DOTALL)]
    # In the wide and in the narrow form, of which a page shows one.
    assert [svg[0].text for svg in svgs] == ["Three rows", "Three rows", "Three points", "Three points"]
    for svg in svgs:
        assert svg.get("role") == "img"
        assert svg[0].tag.endswith("title")
        assert svg[0].get("id") == svg.get("aria-labelledby")


def test_headings_sections_and_tables_of_a_page_are_marked_up_for_screen_readers() -> None:
    read = Read(html_of())
    assert read.all("html") == [{"lang": "en"}]
    assert len(read.all("h1")) == len(read.all("main")) == 1
    assert len(read.all("h2")) == len(read.all("section")) == 4
    assert len(read.all("caption")) == len(read.all("table")) == 1
    assert len(read.all("figcaption")) == len(read.all("figure")) == 2
    assert [th["scope"] for th in read.all("th")] == ["col", "col", "row", "row", "row"]
    assert [th["role"] for th in read.all("th")] == ["columnheader"] * 2 + ["rowheader"] * 3


@pytest.mark.parametrize(("sections", "contents"), [(3, 0), (4, 1)])
def test_a_page_of_more_than_three_sections_has_a_table_of_contents(sections: int, contents: int) -> None:
    assert len(Read(renderer.render(study(sections=sections))).all("nav")) == contents


def test_the_answer_comes_before_all_tables_and_figures() -> None:
    html = renderer.render(Page("a study", "Is it so?", "It is so.", "all done", sections=[Section("Found", [grid()])]))
    assert [html.index(text) for text in ("Is it so?", "It is so.", "all done", "<h2")] == sorted(
        html.index(text) for text in ("Is it so?", "It is so.", "all done", "<h2")
    )
    assert 'class="warning"' not in html


def test_the_title_is_the_question_and_its_answer() -> None:
    html = renderer.render(Page("a study", "Is it so?", "It is so.", "all done"))
    read = Read(html)
    assert read.texts["title"] == "Is it so? It is so."
    assert " ".join(read.texts["h1"].split()) == "Is it so? It is so."


def test_each_row_of_a_table_has_the_marker_of_its_arm() -> None:
    html = html_of()
    keys = re.findall(r'<svg class="swatch".*?</svg>', html)
    assert len(keys) == len(set(keys)) == 3


def test_a_cell_knows_its_heading_for_screens_on_which_a_row_is_a_block() -> None:
    headings = ["arm", "error, %", "n", "verdict"]
    rows = [[Cell("base"), Cell("1.0"), Cell("3"), Cell("worse")]]
    html = renderer.render(Page("", "", "", "", sections=[Section("", [Grid("", headings, headings[1:3], rows)])]))
    assert re.findall(r'data-label="(.*?)"', html) == headings[1:]
    assert '<table role="table" class="stack">' in html


def test_a_fact_can_be_a_link_to_a_file() -> None:
    facts = Facts([("study", Link("study.yaml", "../study.yaml"))])
    assert '<a href="../study.yaml">study.yaml</a>' in renderer.render(
        Page("", "", "", "", sections=[Section("", [facts])])
    )


def test_an_empty_page_is_well_formed() -> None:
    empty = [Section("", [Text([]), Facts([]), Grid("", [], [], [])])]
    assert Read(renderer.render(Page("", "", "", "", sections=empty))).open == []


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_any_text_is_escaped(text: str) -> None:
    sections = [
        Section(
            text,
            [
                Grid(text, [text, "b"], [text], [[Cell(text, note=text), Cell(text, sort=text)]], [0], [text]),
                Picture("figure", forest(text).draw, caption=text, alt=text),
                Text([text]),
                Facts([(text, text)]),
            ],
        )
    ] * 4
    html = renderer.render(Page(text, text, text, text, text, sections))
    read, plain = Read(html), Read(html_of())
    assert {tag for tag, _ in read.elements} <= {tag for tag, _ in plain.elements} | {"sup", "ul"}
    assert len(read.all("script")) == 1
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    for tag in ("h1", "h2", "caption", "td", "th", "p", "li", "dt", "dd", "figcaption"):
        assert text in read.texts[tag]


def test_characters_that_html_cannot_hold_are_replaced() -> None:
    html = renderer.render(Page("a\x00b\x1b\ud800c", "", "", "", sections=[Section("", [forest("\x00", "\ud800")])]))
    html.encode("utf-8")
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}c" in html


def test_equal_pages_give_identical_text() -> None:
    forest.cache_clear()
    assert renderer.render(study()) == html_of()


def test_a_page_makes_no_requests_and_runs_only_its_own_script() -> None:
    html = html_of()
    read = Read(html)
    (policy,) = [meta["content"] for meta in read.all("meta") if "http-equiv" in meta]
    digest = base64.b64encode(hashlib.sha256(read.texts["script"].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    targets = [attributes.get(name) for _, attributes in read.elements for name in ("src", "href", "action", "srcset")]
    assert {target for target in targets if target and not target.startswith("#")} == {"data:,"}
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\"'\s]+", html)) == {"http://www.w3.org/2000/svg"}


def test_a_note_has_a_letter_in_its_cell_and_is_shown_below_the_table() -> None:
    cells = [[Cell("a", note="one"), Cell("b", note="other")], [Cell("c", note="one"), Cell("d")]]
    html = renderer.render(
        Page("", "", "", "", sections=[Section("", [Grid("", ["x", "y"], [], cells, notes=["last"])])])
    )
    marks = re.findall(r'<a href="#(.*?)" title="(.*?)">(.*?)</a>', html)
    assert marks == [
        ("table-1-a", "one", "a"),
        ("table-1-b", "other", "b"),
        ("table-1-a", "one", "a"),
    ]
    assert Read(html).texts["li"].split() == ["a", "oneb", "otherlast"]


def test_sort_keys_are_written_as_javascript_reads_them() -> None:
    values = [0.5, 3, float("nan"), float("inf"), float("-inf"), "text", None]
    rows = [[Cell("x", sort=value)] for value in values]
    read = Read(renderer.render(Page("", "", "", "", sections=[Section("", [Grid("", ["x"], ["x"], rows)])])))
    found = [th.get("data-sort") for th in read.all("th")[1:]]
    assert found == ["0.5", "3.0", None, "Infinity", "-Infinity", "text", None]


def test_the_templates_of_a_page_are_part_of_the_package() -> None:
    parts = files("reports") / "templates"
    assert {part.name for part in parts.iterdir()} >= {"page.html", "page.css", "page.js"}
    # Neither may close the element that contains it.
    for name, ending in (("page.js", "</script"), ("page.js", "<!--"), ("page.css", "</style")):
        assert ending not in (parts / name).read_text(encoding="utf-8").lower()
