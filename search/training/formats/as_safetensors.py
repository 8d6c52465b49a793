"""The weights of a network as .safetensors, with its architecture as YAML next to them."""

from __future__ import annotations

from pathlib import Path

from resnet_space import Architecture, InputError
from search.data.inputs import FACT_NAMES
from search.files.atomic import write_text
from search.training.formats.files import one_line, write_companion, write_weights
from search.training.formats.library_names import named_as_in
from search.training.formats.taken import Taken


def as_safetensors(taken: Taken, to: Path) -> list[Path]:
    """Write the weights under the names of `build(net).state_dict()`, and a `.yaml` of the architecture next to them.

    Facts and inputs are in the file's metadata, the inputs also in comments at the top of the YAML. With a library, the
    weights have the names of that library's network, its name is in the metadata, and there is no YAML.

    Raises:
        InputError: an ensemble, which is no single network, or a network that the library does not have.
    """
    if len(taken.weights) > 1:
        raise InputError(f"{to}: .safetensors has the weights of one network; export an ensemble to .py, .onnx or .pt2")
    state = taken.network.state_dict()
    if taken.library:
        model, state = named_as_in(taken.library, taken.net, taken.network)
        write_weights(to, state, taken.all_facts | {"library": taken.library, "model": model})
        return [to]
    companion = to.with_suffix(".yaml")
    about_images = taken.inputs.facts() if taken.inputs else {}
    head = [f"# {one_line(name)}: {one_line(taken.all_facts[name])}" for name in about_images]

    def same() -> bool:
        # A file that the user wrote has no such comments. With other comments it belongs to another network.
        return Architecture.from_yaml(companion).key == taken.net.key and _input_comments(companion) in ([], head)

    write_companion(companion, same, lambda: write_text(companion, "\n".join([*head, taken.net.to_yaml()])))
    write_weights(to, state, taken.all_facts)
    return [to, companion]


def _input_comments(description: Path) -> list[str]:
    """Return the comments of a YAML file that describe the images."""
    begins = tuple(f"# {name}: " for name in FACT_NAMES)
    return [line for line in description.read_text(encoding="utf-8").split("\n") if line.startswith(begins)]
