"""A page is plain data, shared by all renderers."""

from __future__ import annotations

import subprocess
import sys

from matplotlib.figure import Figure
from pages import grid

from reports.page import Cell, Grid, Page, Picture, Section, Text


def test_a_column_without_a_text_or_a_note_in_any_row_is_left_out() -> None:
    rows = [[Cell("a"), Cell(""), Cell("", note="why"), Cell("1")], [Cell("b"), Cell(""), Cell(""), Cell("")]]
    table = Grid("Arms", ["arm", "published", "p", "n"], ["n"], rows, label="arms").without_empty_columns()
    assert table.headings == ["arm", "p", "n"]
    assert [[cell.text for cell in row] for row in table.rows] == [["a", "", "1"], ["b", "", ""]]
    assert (table.caption, table.label) == ("Arms", "arms")


def test_a_table_without_rows_keeps_its_columns() -> None:
    assert grid([], []).without_empty_columns().headings == ["arm", "test error, %"]


def test_equal_notes_share_one_letter() -> None:
    rows = [[Cell("x", note="one"), Cell("y", note="other")], [Cell("z", note="one"), Cell("")]]
    assert Grid("", ["a", "b"], [], rows).lettered == {"one": "a", "other": "b"}


def test_a_picture_is_drawn_on_first_use_and_only_once() -> None:
    drawn = []

    def draw(width: float) -> Figure:
        drawn.append(1)
        return Figure()

    picture = Picture("stem", draw, "caption")
    page = Page("", "", "", "", sections=[Section("", [Text([]), picture]), Section("", [])])
    assert page.pictures == [picture]
    assert drawn == []
    assert picture.figure is picture.figure
    assert drawn == [1]


def test_renderers_do_not_import_runs() -> None:
    renderers = "reports.html, reports.markdown, reports.terminal, reports.latex, reports.typst, reports.pdf"
    code = f"import sys, {renderers}; print(*sorted({{'ablations', 'search'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
