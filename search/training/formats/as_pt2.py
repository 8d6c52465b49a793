"""A network as a graph that torch.export wrote: it runs without any code but torch's."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from torch import Tensor

from resnet_space.errors import InputError
from search.files.atomic import replace
from search.training.formats.taken import TOLERANCE, TRACED_BATCH, Taken

FACTS_FILE = "facts.json"
"""The extra file with the facts: `torch.export.load(path, extra_files={FACTS_FILE: ""})` fills it in."""

PLACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node")
"""What torch notes about each node of a graph: its line of Python, and the path of that on this machine."""


def as_pt2(taken: Taken, to: Path) -> list[Path]:
    """Write one file for `torch.export.load(path).module()`, which maps images as `as_onnx` does, for any batch size.

    Facts are in it as JSON, see `FACTS_FILE`. It is loaded again, and its outputs are compared with torch's.

    Raises:
        InputError: the outputs differ.
    """
    images = torch.zeros_like(taken.example(TRACED_BATCH))
    program = torch.export.export(taken.module, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        for place in PLACES:
            node.meta.pop(place, None)

    def write(path: Path) -> None:
        # In memory first: torch's own writer ends the process if the disk is full.
        content = io.BytesIO()
        torch.export.save(program, content, extra_files={FACTS_FILE: json.dumps(taken.all_facts)})
        path.write_bytes(content.getvalue())
        with path.open("rb") as file:
            loaded = torch.export.load(file).module()

        def run(images: Tensor) -> Tensor:
            output: Tensor = loaded(images)
            return output

        off = taken.difference(run)
        if not off <= TOLERANCE:
            raise InputError(
                f"{to}: not written, since the graph's {taken.output} differ from the network's by {off:.2g}, and "
                f"{TOLERANCE:g} is allowed; export to .safetensors"
            )

    replace(to, write)
    return [to]
