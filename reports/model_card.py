"""The model card of an exported network: its facts, how to load it, and from the report what was compared, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reports.markdown import escape, section_paragraphs
from reports.page import Block, Facts, Grid, Page, Text
from resnet_space import documents

ERRORS = ("validation_error", "test_error", "top5_error")

SHOWN = (
    *("study", "arm", "data", "fingerprint", *ERRORS, "errors_by", "seed", "seeds", "members_test_errors", "recipe"),
    *("depth", "params", "macs", "input", "image", "output", "key", "resnet-space version", "torch version"),
)
"""The facts of a network that the card lists, in this order."""

RESULTS = 1
"""The number of sections at the start of a report that have the results: the table of arms, or the front."""

PRIVATE = ("machine",)
"""Facts of the setting that are not for a card."""

HEAD = "# license: choose one; none is given by default"

LOADING = """\
## How to load it

It needs torch and nothing else:

```python
import torch

network = torch.hub.load("PATH OF THIS FOLDER", "model", source="local")
```

or, in this folder, `from model import load`. If the statistics of the images are known, `preprocess(images)` of
model.py normalises raw pixels, and with `preprocessing=True` the network does so itself."""


def card(name: str, facts: Mapping[str, str], page: Page) -> str:
    """Return the card as Markdown, with metadata in YAML at its top; the licence is left to the user.

    Args:
        name: of the network.
        facts: of the network, as its export has them.
        page: the report of its run.
    """
    return (
        "\n\n".join(["\n".join(["---", HEAD, _metadata(name, facts), "---"]), *_paragraphs(name, facts, page)]) + "\n"
    )


def _metadata(name: str, facts: Mapping[str, str]) -> str:
    data = facts.get("data", "unknown")
    known = [error for error in ERRORS if error in facts]
    metrics = [{"type": error, "name": error.replace("_", " "), "value": float(facts[error])} for error in known]
    result = {"task": {"type": "image-classification"}, "dataset": {"name": data, "type": data}, "metrics": metrics}
    content: dict[str, Any] = {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "residual-network", "resnet-space"],
        "model-index": [{"name": name, "results": [result] if metrics else []}],
    }
    return documents.write(content).rstrip()


def _paragraphs(name: str, facts: Mapping[str, str], page: Page) -> Iterator[str]:
    yield f"# {escape(name)}"
    classes = f" in {len(json.loads(facts['classes']))} classes" if "classes" in facts else ""
    yield f"A residual network for images{classes}. Errors are fractions of images."
    yield "\n".join(f"- {escape(fact.replace('_', ' '))}: {escape(facts[fact])}" for fact in SHOWN if fact in facts)
    yield LOADING
    yield "## The study that trained it"
    yield from (escape(text) for text in (page.question, page.answer, page.state, page.warning) if text)
    for section in dict.fromkeys((*range(len(page.sections))[:RESULTS], len(page.sections) - 1)):
        found = page.sections[section]
        blocks = [_shown(block) for block in found.blocks if isinstance(block, Grid | Text | Facts)]
        yield from section_paragraphs(replace(found, blocks=blocks))


def _shown(block: Block) -> Block:
    if isinstance(block, Facts):
        return Facts([row for row in block.rows if row[0] not in PRIVATE])
    return block
