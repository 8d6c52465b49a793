"""A terminal shows the brief form of each section."""

from __future__ import annotations

import io
from collections.abc import Iterable

from pages import costs, grid
from rich.console import Console
from rich.table import Table

from reports.page import Cell, Facts, Grid, Link, Mark, Page, Section, Text
from reports.terminal import parts, render


def printed(found: Iterable[Table | str]) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False, markup=False)
    for part in found:
        console.print(part, soft_wrap=isinstance(part, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_only_the_brief_form_of_a_section_is_shown() -> None:
    sections = [Section("Arms", [grid(), costs()], brief=[Text(["in brief"])]), Section("Setting", [Text(["in full"])])]
    assert list(render(Page("t", "q", "a", "s", sections=sections))) == ["in brief"]


def test_a_table_has_a_title_right_aligned_numbers_and_notes_below() -> None:
    rows = [[Cell("base", mark="baseline"), Cell("1.0", note="why")], [Cell("late"), Cell("10.0", mark="open")]]
    legend: dict[Mark, str] = {"open": "may change", "best": "not shown here"}
    table, *notes = parts([Grid("Is it so?", ["arm", "error"], ["error"], rows, notes=["last"], legend=legend)])
    assert isinstance(table, Table)
    assert [column.justify for column in table.columns] == ["left", "right"]
    assert notes == ["(a) why", "last", "~: may change"]
    text = printed([table])
    assert text.startswith("Is it so?")
    assert "base (baseline)" in text
    assert "1.0 (a)" in text
    assert "10.0~" in text


def test_control_sequences_in_a_title_are_removed() -> None:
    (table,) = parts([Grid("\x1b[2J what", ["arm"], [], [[Cell("a")]])])
    assert isinstance(table, Table)
    assert "\x1b" not in str(table.title)


def test_a_terminal_shows_no_pictures_and_one_line_per_fact() -> None:
    facts = Facts([("data", "digits"), ("study", Link("study.yaml", "../study.yaml"))])
    assert list(parts([costs(), facts])) == ["data: digits", "study: study.yaml"]
