"""A page in a real browser: sorting, highlighting, light and dark themes, printing, and only its own script."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from pages import ARMS, HOSTILE, costs, html_of

from reports import html
from reports.figures import embedding
from reports.page import Cell, Grid, Page, Section


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; install it to test pages in a browser")
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


@pytest.fixture
def browser(chromium: Browser, tmp_path: Path) -> Browser:
    """A browser with the page open in the light theme, and the pointer in a corner."""
    path = tmp_path / "page.html"
    path.write_text(html_of(), encoding="utf-8")
    chromium.call("Emulation.setScriptExecutionDisabled", value=False)
    chromium.call("Emulation.setEmulatedMedia", media="screen", features=scheme("light"))
    chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
    chromium.open(path)
    return chromium


def scheme(theme: str) -> list[dict[str, str]]:
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    return [{"name": "prefers-color-scheme", "value": theme}, still]


def names(browser: Browser) -> list[str]:
    found: list[str] = browser.value("[...document.querySelectorAll('tbody th')].map((cell) => cell.innerText.trim())")
    return found


ARIA = "document.querySelectorAll('thead th')[{}].getAttribute('aria-sort')"
LIT = "[...document.querySelectorAll('{}[data-arm]')].filter((e) => e.matches('.lit')).map((e) => e.dataset.arm)"
DIM = "[...document.querySelectorAll('svg [data-arm]')].filter((e) => getComputedStyle(e).opacity < 1).length"


def test_a_browser_reports_no_errors_and_makes_no_requests(browser: Browser) -> None:
    assert browser.value("document.querySelectorAll('thead button').length") == 2
    assert browser.complaints() == []
    assert [url for url in browser.requests() if url != "data:,"] == []


def test_hostile_text_runs_no_script(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    for text in HOSTILE:
        path.write_text(html_of(text), encoding="utf-8")
        browser.open(path)
        assert browser.complaints() == []
        assert [url for url in browser.requests() if url != "data:,"] == []
        assert browser.value("document.querySelector('h1 .answer').textContent") == text


def test_a_script_that_is_not_part_of_the_page_is_blocked(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "broken.html"
    broken = html_of().replace("</main>", "<script>window.broken = true</script></main>")
    path.write_text(broken, encoding="utf-8")
    browser.open(path)
    assert browser.value("window.broken") is None
    assert any("Content Security Policy" in json.dumps(event) for event in browser.complaints())


def test_a_click_on_a_heading_sorts_and_a_third_click_restores_the_order(browser: Browser) -> None:
    heading = "thead th:nth-child(2) button"
    orders = []
    for _ in range(3):
        browser.click(heading)
        orders.append((names(browser), browser.value(ARIA.format(1))))
    # Rows without a number are last in both directions.
    assert orders == [
        ([ARMS[1], ARMS[0], ARMS[2]], "ascending"),
        ([ARMS[0], ARMS[1], ARMS[2]], "descending"),
        (ARMS, "none"),
    ]


def test_names_sort_alphabetically_and_only_one_column_is_sorted_at_a_time(browser: Browser) -> None:
    browser.click("thead th:nth-child(2) button")
    browser.click("thead th:nth-child(1) button")
    assert names(browser) == sorted(ARMS)
    assert [browser.value(ARIA.format(at)) for at in (0, 1)] == ["ascending", "none"]


def test_a_table_can_be_sorted_with_the_keyboard_and_the_focus_is_visible(browser: Browser) -> None:
    browser.value("document.querySelector('thead th:nth-child(1) button').focus()")
    browser.press("Tab")
    outline = browser.value("getComputedStyle(document.activeElement).outlineStyle")
    assert (browser.value("document.activeElement.innerText"), outline) == ("test error, %", "solid")
    browser.press("Enter")
    assert names(browser) == [ARMS[1], ARMS[0], ARMS[2]]


def test_an_arm_under_the_pointer_is_highlighted_in_the_table_and_in_every_figure(browser: Browser) -> None:
    assert browser.value(DIM) == 0
    browser.point("tr[data-arm='1'] td")
    assert browser.value(LIT.format("tr")) == ["1"]
    assert set(browser.value(LIT.format("svg "))) == {"1"}
    figures = browser.value(
        "[...document.querySelectorAll('figure svg')].map((svg) => [...svg.querySelectorAll('[data-arm]')]"
        ".map((e) => getComputedStyle(e).opacity < 1 ? '' : e.dataset.arm).filter(Boolean))"
    )
    assert [set(figure) for figure in figures] == [{"1"}] * 4
    browser.point("h2")
    assert (browser.value(DIM), browser.value(LIT.format(""))) == (0, [])


def test_pointing_at_an_arm_in_a_figure_highlights_its_row(browser: Browser) -> None:
    browser.point("figure:nth-of-type(2) .wide svg [data-arm='2'] use")
    assert browser.value(LIT.format("tr")) == ["2"]
    before, after = (
        browser.value(f"getComputedStyle(document.querySelector('tr[data-arm=\"{arm}\"]')).backgroundColor")
        for arm in (1, 2)
    )
    assert before != after


def test_a_focused_row_is_highlighted_until_it_loses_the_focus(browser: Browser) -> None:
    browser.value("document.querySelector('thead th:nth-child(2) button').focus()")
    browser.press("Tab")
    assert browser.value(LIT.format("tr")) == ["0"]
    assert browser.value(DIM) > 0
    browser.press("Escape")
    assert browser.value(DIM) == 0


@pytest.mark.parametrize(("theme", "ground"), [("light", embedding.LIGHT), ("dark", embedding.DARK)])
def test_a_page_follows_the_theme_of_the_reader(browser: Browser, theme: str, ground: str) -> None:
    browser.call("Emulation.setEmulatedMedia", media="screen", features=scheme(theme))
    seen = browser.value("getComputedStyle(document.body).backgroundColor")
    assert "#" + "".join(f"{int(level):02X}" for level in re.findall(r"\d+", seen)) == ground
    # Letters in figures have the colour of the text.
    ink, letters = (
        browser.value(f"getComputedStyle(document.querySelector('{selector}')).{name}")
        for selector, name in (("body", "color"), ("svg [data-arm] use", "fill"))
    )
    assert ink == letters


def test_a_printed_page_is_light_and_needs_no_script(browser: Browser, tmp_path: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(tmp_path / "page.html")
    browser.call("Emulation.setEmulatedMedia", media="print", features=scheme("dark"))
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("document.querySelectorAll('button').length") == 0
    assert names(browser) == ARMS
    assert (
        browser.value("[...document.querySelectorAll('figure, tr')].map((e) => getComputedStyle(e).breakInside)")
        == ["avoid"] * 6
    )
    assert base64.b64decode(browser.call("Page.printToPDF")["data"]).startswith(b"%PDF")


def test_a_wide_table_scrolls_in_its_own_box_and_the_page_does_not(browser: Browser, tmp_path: Path) -> None:
    headings = [f"a long heading {at}" for at in range(30)]
    wide = Grid("wide", headings, headings[1:], [[Cell("x" * 300)] + [Cell("1.00 ± 0.20")] * 29])
    path = tmp_path / "wide.html"
    path.write_text(html.render(Page("w" * 300, "", "", "", sections=[Section("", [wide, costs()])])), encoding="utf-8")
    browser.open(path)
    box, table, window, body = browser.value(
        "[...['.scroll', 'table'].map((s) => document.querySelector(s).scrollWidth),"
        " innerWidth, document.documentElement.scrollWidth]"
    )
    assert table > window >= body
    assert box >= table
    assert browser.value("document.querySelector('.scroll').tabIndex") == 0
    assert browser.value("document.querySelector('tbody th').clientWidth") < 500


def test_a_table_that_fits_is_not_focusable(browser: Browser) -> None:
    assert browser.value("document.querySelector('.scroll').hasAttribute('tabindex')") is False


@pytest.fixture
def phone(browser: Browser) -> Iterator[Browser]:
    """The browser with a screen that is 400 pixels wide."""
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=2, mobile=True)
    yield browser
    browser.call("Emulation.clearDeviceMetricsOverride")


WIDTHS = "[...document.querySelectorAll('figure svg')].map((e) => Math.round(e.getBoundingClientRect().width))"


def test_a_figure_is_as_wide_as_the_page(browser: Browser) -> None:
    whole = browser.value("document.querySelector('figure').clientWidth")
    assert [width for width in browser.value(WIDTHS) if width] == [whole, whole]
    assert whole > 1000


def test_a_page_fits_the_screen_of_a_phone_and_its_figures_are_redrawn_for_it(phone: Browser) -> None:
    assert phone.value("document.documentElement.scrollWidth") <= 400
    # The wide forms are hidden.
    assert phone.value(WIDTHS) == [0, 368, 0, 368]


def test_no_number_of_a_wide_table_is_hidden_at_the_side_of_a_phone(phone: Browser, tmp_path: Path) -> None:
    headings = ["arm", "parameters", "MACs", "test error, %", "n", "difference, points", "verdict", "outcome"]
    texts = [
        "exclusive gate, bias -6",
        "226k",
        "2.1M",
        "8.73 ± 3.11",
        "3",
        "+7.52 [+1.32, +18.05] *",
        "worse",
        "trained",
    ]
    wide = Grid("Arms", headings, headings[1:6], [[Cell(text) for text in texts]] * 2, [0, 1])
    path = tmp_path / "phone.html"
    path.write_text(html.render(Page("t", "q?", "a.", "s", sections=[Section("Arms", [wide])])), encoding="utf-8")
    phone.open(path)
    cells = phone.value(
        "[...document.querySelectorAll('tbody th, tbody td')].map((e) => e.getBoundingClientRect())"
        ".map((box) => [box.left, box.right, box.height])"
    )
    assert len(cells) == 2 * len(headings)
    assert all(0 <= left < right <= 400 and height > 0 for left, right, height in cells)
    assert phone.value("getComputedStyle(document.querySelector('td'), '::before').content") == '"parameters "'
