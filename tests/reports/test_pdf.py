"""A report as PDF is printed by a browser; without one, a line says which program is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from browser import CHROMIUM
from pages import study

from reports import pdf
from reports.page import Facts, Link, Page, Section
from resnet_space import InputError


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_page_is_printed_without_links_into_a_temporary_folder() -> None:
    page = study()
    linked = Section("Setting", [Facts([("study", Link("study.yaml", "../study.yaml"))])])
    made = pdf.render(Page(page.title, page.question, page.answer, page.state, sections=[*page.sections, linked]))
    assert made.startswith(b"%PDF")
    assert made.rstrip().endswith(b"%%EOF")
    assert b"/URI" not in made


def test_without_a_browser_a_line_says_which_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(
        InputError, match="--format pdf: needs Chromium or a browser made of it, and the PATH has none of"
    ):
        pdf.render(study())


def test_a_browser_that_prints_nothing_is_an_error_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho starting >&2\necho no display >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(broken))
    with pytest.raises(InputError, match=r"printed no page \(exit status 3\): no display"):
        pdf.render(study())
