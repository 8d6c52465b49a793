"""LaTeX compiles with any text in a name, and marks only resolved results as best."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablations.run import AblationRun
from reports.latex import BY_NUMBER, escape, render, table
from reports.page import Cell, Grid, Page, Section, Text
from resnet_space.api import document, report

Make = Callable[..., AblationRun]
TEX = shutil.which("pdflatex")
ENGINES = [name for name in ("pdflatex", "lualatex", "xelatex") if shutil.which(name)]
NASTY = r"50 % of $x_1$ & {a} #2 ~^\ <b> ± ü 中"


def compiled(text: str, folder: Path, engine: str = "pdflatex") -> str:
    """Compile a document that contains the text; return the log of the engine."""
    (folder / "table.tex").write_text(text, encoding="utf-8")
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table}\end{document}"
    (folder / "main.tex").write_text(document, encoding="utf-8")
    command = [shutil.which(engine) or "", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.skipif(TEX is None, reason="pdflatex is not installed")
def test_a_report_compiles_with_special_characters_in_names(ablation: Make, tmp_path: Path) -> None:
    run = ablation(
        {"base": [0.1, 0.12, 0.11], NASTY: [0.2, "diverged", 0.23], "x": [0.3, 0.31, None]},
        question=NASTY,
        planned={"compare": ["x"]},
    )
    (path,) = report(run, ["tex"])
    compiled(path.read_text(encoding="utf-8"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES or [pytest.param("", marks=pytest.mark.skip("no LaTeX is installed"))])
def test_names_in_any_script_compile_and_no_character_is_lost(engine: str, ablation: Make, tmp_path: Path) -> None:
    name = "Größe λ 卷积"
    run = ablation({"base": [0.1, 0.12, 0.11], name: [0.2, 0.21, 0.23]}, question="Größe λ 卷积?")
    (path,) = report(run, ["tex"])
    text = path.read_text(encoding="utf-8")
    assert r"Gr\"{o}\ss{}e $\lambda$ \unicodechar{卷}{5377}\unicodechar{积}{79EF}" in text
    assert "Missing character" not in compiled(text, tmp_path, engine)


@pytest.mark.skipif(TEX is None, reason="pdflatex is not installed")
def test_a_document_can_define_how_other_characters_are_printed(tmp_path: Path) -> None:
    own = r"\newcommand{\unicodechar}[2]{\typeout{It is #2}}"
    log = compiled(f"{own}\n{BY_NUMBER}{escape('卷积')}\n", tmp_path)
    assert "It is 5377" in log
    assert "It is 79EF" in log


@pytest.mark.skipif(TEX is None, reason="pdflatex is not installed")
def test_every_printable_character_compiles(tmp_path: Path) -> None:
    every = "".join(chr(code) for code in [*range(0x20, 0x17F), 0x2013, 0x2014, 0x2019, 0x2026, 0x4E2D, 0x1F600])
    compiled(f"{BY_NUMBER}{escape(every)}\n", tmp_path)


@given(st.text())
@settings(deadline=None)
def test_no_text_is_a_command(text: str) -> None:
    escaped = escape(text)
    for allowed in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        r"\textless{}",
        r"\textgreater{}",
    ):
        escaped = escaped.replace(allowed, "")
    for mark in "&%$#_{}":
        escaped = escaped.replace(f"\\{mark}", "")
    escaped = re.sub(r"\$(-|\^2|\\[a-z]+)\$", "", escaped)
    escaped = re.sub(r"\\unicodechar\{[^\x00-\x7f]\}\{[0-9A-F]+\}", "", escaped)
    escaped = re.sub(r"\\[`'^~=u.\"rHvc]\{[A-Za-z]\}", "", escaped)
    escaped = re.sub(r"\\(ss|ae|AE|o|O|oe|OE|l|L|i|ldots)\{\}", "", escaped)
    assert not set(escaped) & set("\\&%$#_{}^~")


def test_the_best_value_is_bold_only_if_it_is_resolved(ablation: Make) -> None:
    clear = render(document(ablation({"base": [0.31, 0.32, 0.33], "good": [0.01, 0.02, 0.032]})))
    assert r"\textbf{2.07~$\pm$~1.10}" in clear
    assert "Bold: better than every other arm." in clear
    open_ = render(document(ablation({"base": [0.10, 0.12, 0.11], "good": [0.09, 0.12, 0.11]}, folder="open")))
    assert r"\textbf" not in open_


def test_diverged_trials_have_a_footnote_and_open_numbers_have_a_mark(ablation: Make) -> None:
    text = render(document(ablation({"base": [0.1, 0.1], "lost": [0.2, "diverged"], "slow": [0.2, None]})))
    assert "$^{a}$ trained, 1 of 2 diverged; mean over those that trained." in text
    assert r"$^{\dagger}$ can still change" in text


def test_only_the_tables_for_papers_are_printed() -> None:
    rows = [[Cell("base", mark="baseline"), Cell("1.39 ± 0.20")]]
    printed = Grid("Is it so?", ["arm", "error, %"], ["error, %"], rows, notes=["with 95 % interval."], label="made")
    page = Page("my_study", "q", "a", "s", sections=[Section("Arms", [Text(["full"])], paper=[printed])])
    text = render(page)
    assert text.startswith("% my\\_study: needs \\usepackage{booktabs}\n\\begin{table}\n")
    assert "full" not in text
    assert r"\label{tab:made}" in text
    assert r"base (baseline) & 1.39~$\pm$~0.20 \\" in text
    assert r"{\footnotesize with 95\,\% interval.}" in text


@pytest.mark.parametrize(("caption", "printed"), [("Published", "Published."), ("Is it so?", "Is it so?")])
def test_a_caption_is_a_sentence(caption: str, printed: str) -> None:
    assert f"\\caption{{{printed}}}" in table(Grid(caption, ["a"], [], [[Cell("x")]]))
