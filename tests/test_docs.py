"""Every command, Python block and description in README.md and docs/ runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resnet_space import Architecture, Space, documents
from resnet_space.api.studies import load
from resnet_space.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(console|python|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_console(text: str) -> None:
    for line in text.splitlines():
        program, *arguments = shlex.split(line.removeprefix("$ "), comments=True)
        assert Path(program).name == "resnet-space", line
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{line}\n{result.output}"


def run_python(text: str) -> None:
    exec(compile(text, "document", "exec"), {})


def check_yaml(text: str) -> None:
    """Check a description. A study is written to a file for later commands; others must be a space or a network."""
    data = documents.read(text)
    if {"arms", "factors", "space"} & data.keys():
        path = Path(f"{data['name']}.yaml")
        path.write_text(text)
        for profile in [None, *data.get("profiles", {})]:
            load(str(path), profile=profile)
    elif "axes" in data:
        Space.of(data)
    else:
        Architecture.of(data)


RUNNERS = {"console": run_console, "python": run_python, "yaml": check_yaml}


@pytest.mark.long
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_everything_in_a_document_runs(document, tmp_path, monkeypatch, ray_cluster):
    monkeypatch.chdir(tmp_path)
    for kind, text in BLOCK.findall(document.read_text(encoding="utf-8")):
        RUNNERS[kind](text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
