"""Text is text in every format: HTML, Markdown, LaTeX, CSV, JSON and the terminal, whatever a study says of itself."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbs import Cli

from ablations.run import AblationRun
from reports import spreadsheet
from resnet_space.api import report

Make = Callable[..., AblationRun]

ATTACKS = {
    "<script>alert(1)</script>": [0.1, 0.12],
    '"><img src=x onerror=alert(1)>': [0.2, "failed"],
    "=cmd|' /C calc'!A0": [0.3, 0.31],
    "@SUM(1+1)*cmd|[a](javascript:alert(1))": [0.3, 0.32],
    r"-\input{/etc/passwd}\write18{id}": [0.3, 0.35],
}


def reported(ablation: Make, *formats: str) -> list[str]:
    """Reports of a run whose names and texts all attack."""
    attack = "<script>alert('q')</script> ${7*7} {{7*7}} \\input{x}"
    run = ablation(dict(ATTACKS), question=attack, notes=attack, source=attack, planned={"compare": list(ATTACKS)[1:3]})
    return [path.read_text(encoding="utf-8") for path in report(run, formats)]


class Elements(HTMLParser):
    """Scripts, links and handlers of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts = 0
        self.active: list[str] = []
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        given = dict(attrs)
        self.active += [f"{tag} {name}" for name in given if name.startswith("on")]
        leads = (given.get("href") or "", given.get("src") or "")
        self.active += [f"{tag} {to}" for to in leads if re.match(r"\s*(javascript|data|https?):", to)]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""


@pytest.mark.slow
def test_no_name_becomes_an_element_of_the_page_or_markup(ablation: Make) -> None:
    page, markdown = reported(ablation, "html", "md")
    found = Elements(page)
    assert found.scripts == 1, "the page's own"
    assert [what for what in found.active if not what.startswith("link ")] == []
    assert "default-src 'none'" in found.policy
    assert "'unsafe-inline'" not in found.policy.partition("script-src")[2].partition(";")[0]
    assert "49" not in re.findall(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)[0], "no template in a text is run"
    assert not re.search(r"(?<!\\)<(script|img)", markdown)
    assert not re.search(r"(?<!\\)\[a\]\(javascript", markdown)


def test_no_name_becomes_a_command_in_latex_or_a_formula_in_csv(ablation: Make) -> None:
    latex, table = reported(ablation, "tex", "csv")
    assert r"\input{" not in latex
    assert r"\write18" not in latex
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["arm"].removeprefix("'") for row in rows] == list(ATTACKS)
    for row in rows:
        for name in ("arm", "versus", "verdict", "outcome"):
            assert not row[name].startswith(spreadsheet.FORMULA)
    assert [row["arm"][0] for row in rows if row["arm"].removeprefix("'")[0] in "=+-@"] == ["'"] * 3
    assert any(float(row["delta"]) < 1 for row in rows if row["delta"]), "numbers stay numbers"


@given(st.one_of(st.text(), st.floats(allow_nan=False), st.integers(), st.booleans(), st.none()))
def test_a_cell_is_a_number_or_begins_like_no_formula(value: object) -> None:
    made = spreadsheet.cell(value)
    if isinstance(value, str):
        assert not made.startswith(spreadsheet.FORMULA)
        assert made.removeprefix("'") == value.removeprefix("'")
    else:
        assert made is value


def test_what_a_terminal_is_told_cannot_steer_it(sent: Path, resnet_space: Cli) -> None:
    import sqlite3

    connection = sqlite3.connect(sent / "trials.db")
    connection.execute("UPDATE trials SET status = 'failed', reason = ?", ["\x1b]0;owned\x07\x1b[2J gone"])
    connection.commit()
    connection.close()
    text = (sent / "study.yaml").read_text().replace("question: ''", r'question: "\e[2J what"')
    (sent / "study.yaml").write_text(text)
    for result in (resnet_space("status", sent), resnet_space("front", sent), resnet_space("report", f"{sent}\x1b[2J")):
        assert "\x1b" not in result.out + result.err
        assert "\x07" not in result.out + result.err


def test_json_is_strict(sent: Path, resnet_space: Cli) -> None:
    def refused(word: str) -> None:
        raise AssertionError(word)

    for arguments in (("status", sent, "--json"), ("front", sent, "--format", "json"), ("show", "resnet20", "--json")):
        json.loads(resnet_space(*arguments).out, parse_constant=refused)
