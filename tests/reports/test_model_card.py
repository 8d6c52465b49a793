"""The model card of an exported network: metadata, facts, how to load it, and its study's results and setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from verbs import Cli

from reports.model_card import card
from reports.page import Cell, Facts, Grid, Page, Section, Text
from resnet_space import documents

PAGE = Page(
    title="gates",
    question="Does a *gate* help?",
    answer="gated is better than plain, by 1.2 points.",
    state="Trials: 4 complete.",
    sections=[
        Section("Arms", [Grid("Arms", ("arm", "error"), ("error",), [[Cell("gated"), Cell("1.3")]])]),
        Section("Differences", [Text(["not shown"])]),
        Section("Setting", [Facts([("recipe", "digits"), ("machine", "secret")])]),
    ],
)
FACTS = {"data": "digits", "test_error": "0.25", "seed": "1", "arm": "pl*in", "classes": '["a", "b"]'}


def test_the_card_begins_with_metadata_and_leaves_the_licence_to_the_user() -> None:
    head = re.match(r"---\n(.*?)\n---\n", card("my net", FACTS, PAGE), re.DOTALL)
    assert head
    assert head[1].startswith("# license: choose one")
    metadata = documents.read(head[1])
    assert (metadata["library_name"], metadata["pipeline_tag"]) == ("pytorch", "image-classification")
    (result,) = metadata["model-index"][0]["results"]
    assert result["dataset"] == {"name": "digits", "type": "digits"}
    assert result["metrics"] == [{"type": "test_error", "name": "test error", "value": 0.25}]
    assert "license" not in metadata


def test_the_card_has_the_results_and_the_setting_without_the_machine() -> None:
    text = card("my net", FACTS, PAGE)
    for part in ("# my net\n", "images in 2 classes", "- arm: pl\\*in\n", "Does a \\*gate\\* help?", "| gated | 1.3 |"):
        assert part in text
    assert "- recipe: digits" in text
    assert "not shown" not in text
    assert "secret" not in text


def test_the_metadata_are_those_that_the_hub_reads(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card("my net", FACTS, PAGE))
    found = ModelCard.load(tmp_path / "README.md")
    assert found.data.library_name == "pytorch"
    (result,) = found.data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("digits", "test_error", 0.25)


@pytest.mark.slow
def test_the_card_of_a_run_has_its_question_its_table_and_its_setting(resnet_space: Cli) -> None:
    study = {
        "name": "cards",
        "question": "Does a gate help?",
        "net": "resnet20",
        "set": {"width": 0.125, "stages.*.units": 1},
        "baseline": "plain",
        "arms": {"plain": {}, "gated": {"set": {"unit.shortcut": "exclusive_gate"}}},
        "data": "digits",
        "recipe": {"base": "digits", "epochs": 1},
        "seeds": 2,
    }
    Path("cards.yaml").write_text(documents.write(study))
    assert resnet_space("run", "cards.yaml", "--inline", "--out", "r").status == 0
    taken = resnet_space("export", "r", "--arm", "gated", "--to", "gated/")
    assert taken.status == 0
    assert "gated/README.md" in taken.out.split()
    assert re.fullmatch(r"seed [01], the median of the validation errors of seeds 0, 1; .*\n", taken.err)
    found = Path("gated/README.md").read_text()
    for text in ("Does a gate help?", "## Arms", "| gated |", "## Setting", "- recipe: ", "- test error: 0."):
        assert text in found
    assert "- machine: " not in found
