"""A network as a Python file that needs torch and nothing else, with its weights next to it."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from typing import Any

from torch import Tensor, nn

from resnet_space import InputError
from search.data.inputs import Inputs
from search.files.atomic import replace
from search.training.formats.files import write_companion_weights
from search.training.formats.source import Unwritable, written
from search.training.formats.taken import TOLERANCE, Taken

NAME = "Network"
"""The class of the network in the file."""


def as_python(taken: Taken, to: Path) -> list[Path]:
    """Write a module whose `load()` returns the network with its weights, and a `.safetensors` next to it.

    The module has the layers written out, and imports torch and the standard library only. With inputs it also has
    MEAN, STD, CLASSES, and a `preprocess(images)` whose result the network takes; for a data set of pictures also
    `read_picture(path)`. FACTS and ARCHITECTURE are dictionaries. The file is run, and its network compared.

    All text from outside is written as a literal.

    Raises:
        InputError: the name is that of another module, the network cannot be written as Python, or its outputs differ.
    """
    if to.stem in sys.stdlib_module_names or (to.stem in sys.modules and to.stem != "model"):
        # Python searches a script's folder first.
        raise InputError(f"{to}: would be imported instead of the module {to.stem!r}; choose another name")
    try:
        network = written(taken.network, NAME)
    except Unwritable as error:
        raise InputError(f"{to}: the network cannot be written as Python: {error}; export to .pt2 or .onnx") from None
    companion = to.with_suffix(".safetensors")
    paths = [to, write_companion_weights(companion, taken.network.state_dict(), taken.all_facts)]
    text = "\n".join(_parts(taken, network, to.stem, companion.name))

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")
        load = runpy.run_path(str(path))["load"]
        off = taken.difference(_evaluated(load(preprocessing=taken.raw) if taken.inputs else load()))
        if not off <= TOLERANCE:
            raise InputError(
                f"{to}: not written, since its {taken.output} differ from the network's by {off:.2g}, and "
                f"{TOLERANCE:g} is allowed; export to .safetensors"
            )

    replace(to, write)
    return paths


def _evaluated(network: nn.Module) -> Any:
    def run(images: Tensor) -> Tensor:
        output: Tensor = network(images)
        return output

    return run


def _parts(taken: Taken, network: str, stem: str, weights: str) -> Iterator[str]:
    """Yield the parts of the file in order."""
    facts, inputs, net = taken.all_facts, taken.inputs, taken.net
    architecture = facts.pop("architecture")
    shape = ", ".join(map(str, net.input_shape))
    # The docstring comes first: a comment in the first two lines can change a file's encoding.
    yield '"""A residual network with trained weights, written by resnet-space. It needs torch and nothing else.'
    yield ""
    module = stem if stem.isidentifier() else "this_file"
    if inputs:
        yield f"    from {module} import CLASSES, load, preprocess"
        yield f"    images = torch.zeros(1, {shape}, dtype=torch.{inputs.dtype})  # raw pixels"
        yield f"    {taken.output} = load(preprocessing=False)(preprocess(images))"
    else:
        yield f"    from {module} import load"
        yield f"    {taken.output} = load()(images)  # normalised, float32 (N, {shape})"
    yield '"""'
    yield ""
    yield IMPORTS
    yield f"WEIGHTS = Path(__file__).with_name({weights!r})"
    yield f"FACTS = {_literal(facts)}"
    yield f"ARCHITECTURE = {_literal(json.loads(architecture))}"
    yield '"""The network as resnet-space describes it."""'
    if inputs:
        yield from _about_images(inputs)
    yield ""
    yield ""
    yield network
    yield ""
    yield ""
    if inputs:
        yield from _preprocessing(inputs)
    yield from _loading(taken)


def _literal(value: Any) -> str:
    return pformat(value, width=110, sort_dicts=False, compact=True)


IMPORTS = """\
import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
"""


def _about_images(inputs: Inputs) -> Iterator[str]:
    yield from (f"{name} = {_literal(value)}" for name, value in (("MEAN", inputs.mean), ("STD", inputs.std)))
    yield f'"""One number per channel, for pixels as the data have them: {inputs.units}."""'
    yield f"CLASSES = {_literal(inputs.classes)}"
    yield '"""In the order of the network\'s outputs."""'


def _preprocessing(inputs: Inputs) -> Iterator[str]:
    """Yield the function that normalises, the network that does so itself, and for pictures the one that reads them."""
    yield "def preprocess(images: Tensor) -> Tensor:"
    yield f'    """Images (N, {", ".join(map(str, inputs.shape))}), {inputs.units}, to what the network takes.'
    yield ""
    yield f"    An image is {inputs.image}."
    yield '    """'
    if inputs.dtype == "uint8":
        yield "    if images.dtype != torch.uint8:"
        yield '        raise TypeError(f"pixels must be uint8, 0 to 255, not {images.dtype}")'
    yield "    mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (MEAN, STD))"
    yield "    return (images.to(torch.float32) - mean) / std"
    yield ""
    yield ""
    yield PREPROCESSED
    if inputs.fitted:
        yield PICTURE.replace("SIDE", str(inputs.shape[-1]))


PREPROCESSED = '''\
class Preprocessed(nn.Module):
    """The network, for images as they are stored: network(preprocess(images))."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(preprocess(images))

'''

PICTURE = '''\
def read_picture(path) -> Tensor:
    """A picture file as raw pixels (1, 3, SIDE, SIDE) uint8, as the training pictures were read. It needs Pillow."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        if opened.mode.startswith(("I", "F")):
            raise ValueError(f"{path}: more than 8 bits per channel; save it as 8-bit RGB")
        picture = ImageOps.exif_transpose(opened)
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        square = ImageOps.fit(picture.convert("RGB"), (SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    return pixels.view(1, SIDE, SIDE, 3).permute(0, 3, 1, 2).contiguous()

'''

READING = '''\
def read_weights(path: Path = WEIGHTS) -> dict[str, Tensor]:
    """The tensors of a .safetensors file: the length of its header in 8 bytes, the header in JSON, and the data."""
    types = {"F32": torch.float32, "I64": torch.int64}
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:begin]), bytearray(content[begin:])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        found[name] = torch.frombuffer(data[first:last], dtype=types[entry["dtype"]]).view(entry["shape"])
    return found

'''


def _loading(taken: Taken) -> Iterator[str]:
    net, shape = taken.net, ", ".join(map(str, taken.net.input_shape))
    yield READING
    yield f"def load({f'preprocessing: bool = {taken.raw}' if taken.inputs else ''}) -> nn.Module:"
    yield '    """The network with its trained weights, in evaluation mode.'
    yield ""
    if taken.inputs:
        yield f"    It takes images (N, {shape}): as `preprocess` returns them, or raw ones with `preprocessing`."
    else:
        yield f"    It takes normalised images, float32 (N, {shape})."
    order = ", in the order of CLASSES" if taken.inputs else ""
    yield f"    It returns {taken.output} (N, {net.classes}){order}."
    yield '    """'
    yield f"    network = {NAME}()"
    yield "    network.load_state_dict(read_weights())"
    yield f"    return {'(Preprocessed(network) if preprocessing else network)' if taken.inputs else 'network'}.eval()"
    yield ""
    yield ""
    yield 'if __name__ == "__main__":'
    yield "    network = load()"
    dtype = "uint8" if taken.raw and taken.inputs and taken.inputs.dtype == "uint8" else "float32"
    yield f"    outputs = network(torch.zeros(1, {shape}, dtype=torch.{dtype}))"
    yield "    params = sum(parameter.numel() for parameter in network.parameters())"
    yield '    found = {"params": params, "classes": outputs.shape[1]}'
    yield '    found |= {name: FACTS[name] for name in ("depth", "macs", "test_error") if name in FACTS}'
    yield '    print(", ".join(f"{name} {value}" for name, value in found.items()))'
    yield ""
