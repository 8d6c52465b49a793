"""Take a network away: as Python that builds it, as its weights, or as ONNX. A format is a function in a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pprint import pformat
from textwrap import indent
from typing import Any

import torch
from torch import Tensor, nn

from resnet_space import Architecture, InputError, build
from resnet_space.errors import text, unknown
from search.data.inputs import FACT_NAMES, Inputs
from search.files.atomic import replace, write_text
from search.files.bucket import Place
from search.training.checkpoint import WEIGHTS

ONNX_EXTRAS = ("onnx", "onnxscript", "onnxruntime")

ONNX_BYTES = 2_000_000_000
"""Weights beyond this do not fit one ONNX file: protobuf, which it is written in, ends at 2 GiB."""

TOLERANCE = 1e-4
"""What onnxruntime's logits may differ from torch's by: their largest difference over max(1, their largest size)."""

BATCHES = (1, 3)
"""Batch sizes of that comparison; the network is traced with another."""

Facts = dict[str, str]
Format = Callable[[Architecture, Path, Place | None, Facts, Inputs | None], list[Path]]


def export(
    net: Architecture,
    to: Path,
    *,
    weights: Place | None,
    facts: Mapping[str, str | int | float] | None = None,
    inputs: Inputs | None = None,
) -> list[Path]:
    """Write the network to `to`, in the format that its suffix names; the paths of all that belongs to it.

    `weights` is a trial's `weights.safetensors`. `facts` (errors, MACs, where it is from) go along as they are, in
    comments or metadata, with the network's key; so do `inputs`, what its images must be, where that is known. Files
    are whole or not there, and `to` comes last. It is overwritten if it exists; a file beside it is not: one that holds
    the same stays, one that holds something else is refused.

    Raises:
        InputError: no such format or folder, a file cannot be written, no weights where the format needs them, weights
            of another network, or what only ONNX can meet: see `as_onnx`.
    """
    form = FORMATS.get(to.suffix.lower())
    if form is None:
        raise unknown("format", to.suffix or to.name, FORMATS, path=str(to))
    if not to.parent.is_dir():
        raise InputError(f"{to.parent}: no such folder; make it, or choose another")
    named = {_text(name): _text(value) for name, value in (facts or {}).items()}
    try:
        return form(net, to, weights, {"key": net.key} | named | {"key": net.key}, inputs)
    except OSError as error:
        raise InputError(f"{to}: {error.strerror or error}") from None


def weights_of(checkpoints: Place, keys: Sequence[str]) -> Place | None:
    """The weights that the first of these trials left; None if none did.

    `keys` are trials' keys, the preferred ones first.
    """
    paths = (checkpoints / key / WEIGHTS for key in keys)
    return next((path for path in paths if path.is_file()), None)


def as_python(
    net: Architecture, to: Path, weights: Place | None, facts: Facts, inputs: Inputs | None = None
) -> list[Path]:
    """A module whose `network()` builds the network, with a `.safetensors` beside it if there are weights.

    With `inputs` it has MEAN, STD and CLASSES, and `normalise(images)` makes of images what `network()` takes.

    Everything that is not this function's own text stands in it as a literal, or as a comment of one printable line.
    """
    if to.stem in sys.stdlib_module_names or to.stem in sys.modules:
        # A script's own folder is searched first.
        raise InputError(f"{to}: would be imported in place of the module {to.stem!r}; choose another name")
    beside = to.with_suffix(".safetensors")
    both = facts | _texts(inputs)
    written = [_weights_beside(beside, trained(net, weights).state_dict(), both)] if weights else []
    data = net.model_dump(mode="json", exclude_none=True)
    # The docstring's line comes first: a comment in the first line or two can change a file's encoding.
    lines = [
        '"""A residual network, written by resnet-space: run it to see what the network costs."""',
        "",
        *(f"# {_one_line(name)}: {_one_line(value)}" for name, value in facts.items()),
        "",
        *(["from pathlib import Path", ""] if weights else []),
        "import torch",
        "from resnet_space import Architecture, build, complexity",
        *(["from safetensors.torch import load_file"] if weights else []),
        "",
        "ARCHITECTURE = Architecture.of(",
        indent(pformat(data, width=110, sort_dicts=False), "    "),
        ")",
        *([f"WEIGHTS = Path(__file__).with_name({beside.name!r})"] if weights else []),
        *(_normalisation(inputs) if inputs else []),
        "",
        "",
        "def network() -> torch.nn.Module:",
        f'    """Normalised images (N, {", ".join(map(str, net.input_shape))}) to logits (N, {net.classes}); '
        f"{'the weights are the trained ones' if weights else 'the weights are drawn, not trained'}."
        f'{" Images come from `normalise`, logits are in the order of CLASSES." if inputs else ""}"""',
        "    net = build(ARCHITECTURE)",
        *(["    net.load_state_dict(load_file(WEIGHTS))"] if weights else []),
        "    return net.eval()",
        "",
        "",
        'if __name__ == "__main__":',
        "    logits = network()(torch.zeros(1, *ARCHITECTURE.input_shape))",
        "    cost = complexity(ARCHITECTURE)",
        '    print(f"depth {ARCHITECTURE.depth}, params {cost.params}, macs {cost.macs}, classes {logits.shape[1]}")',
        "",
    ]
    write_text(to, "\n".join(lines))
    return [to, *written]


def _normalisation(inputs: Inputs) -> list[str]:
    """Lines of Python: what images are normalised by, as literals, and how."""
    checked = (
        [
            "    if images.dtype != torch.uint8:",
            '        raise TypeError(f"pixels must be uint8, 0 to 255, not {images.dtype}")',
        ]
        if inputs.dtype == "uint8"
        else []
    )
    return [
        *(f"{name} = {pformat(value, width=110)}" for name, value in (("MEAN", inputs.mean), ("STD", inputs.std))),
        f'"""A number a channel, of pixels as the data have them: {inputs.units}."""',
        f"CLASSES = {pformat(inputs.classes, width=110)}",
        "",
        "",
        "def normalise(images: torch.Tensor) -> torch.Tensor:",
        f'    """Images (N, {", ".join(map(str, inputs.shape))}), {inputs.units}, to what `network()` takes.',
        "",
        f"    An image is {inputs.image}.",
        '    """',
        *checked,
        "    mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (MEAN, STD))",
        "    return (images.to(torch.float32) - mean) / std",
    ]


def as_safetensors(
    net: Architecture, to: Path, weights: Place | None, facts: Facts, inputs: Inputs | None = None
) -> list[Path]:
    """The weights under the names of `build(net).state_dict()`, with a `.yaml` of the architecture beside them.

    Facts and inputs are in the file's metadata, the inputs also in comments on top of the YAML.
    """
    tensors = trained(net, _needed(net, to, weights)).state_dict()
    beside = to.with_suffix(".yaml")
    head = [f"# {_one_line(name)}: {_one_line(value)}" for name, value in _texts(inputs).items()]

    def same() -> bool:
        # A description of one's own says nothing of images; what says something else of them is another network's.
        return Architecture.from_yaml(beside).key == net.key and _said(beside) in ([], head)

    _beside(beside, same, lambda: write_text(beside, "\n".join([*head, net.to_yaml()])))
    _write_weights(to, tensors, facts | _texts(inputs))
    return [to, beside]


def as_onnx(
    net: Architecture, to: Path, weights: Place | None, facts: Facts, inputs: Inputs | None = None
) -> list[Path]:
    """One file: `images` (N, C, H, W) float32, normalised as in training, to `logits` (N, classes), for any N.

    The network is in evaluation mode, and facts and inputs are in the model's metadata. What was written is checked by
    ONNX's own checker, and run by onnxruntime on random images in two batch sizes against torch.

    Raises:
        InputError: a package of the `onnx` extra is missing, the weights do not fit a file, its name is no text, or the
            logits differ.
    """
    weights = _needed(net, to, weights)
    text(str(to))
    try:
        onnx = {name: import_module(name) for name in ONNX_EXTRAS}["onnx"]
    except ImportError as error:
        raise InputError(f"{to}: .onnx needs more packages ({error}); pip install 'resnet-space[onnx]'") from None
    model = trained(net, weights)
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > ONNX_BYTES:
        raise InputError(
            f"{to}: {size / 1e9:.3g} GB of weights; .onnx takes at most {ONNX_BYTES / 1e9:.3g} GB; "
            f"export to .safetensors"
        )
    proto = torch.onnx.export(
        model,
        (torch.zeros(2, *net.input_shape),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    ).model_proto  # type: ignore[union-attr]  # None is what it returns without dynamo
    graph = proto.graph
    # Every node says where its line of Python lies on this machine; a network is for strangers.
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.helper.set_model_props(proto, facts | _texts(inputs))

    def write(path: Path) -> None:
        path.write_bytes(proto.SerializeToString())
        onnx.checker.check_model(str(path), full_check=True)
        off = difference(path, model, net.input_shape)
        if not off <= TOLERANCE:
            raise InputError(
                f"{to}: not written, since onnxruntime's logits differ from torch's by {off:.2g}, which may be at most "
                f"{TOLERANCE:g}; export to .safetensors"
            )

    replace(to, write)
    return [to]


FORMATS: dict[str, Format] = {".py": as_python, ".safetensors": as_safetensors, ".onnx": as_onnx}
"""What a network can be taken away as, by the suffix of the file."""


@torch.no_grad()
def difference(onnx_file: Path, model: nn.Module, input_shape: tuple[int, int, int]) -> float:
    """max |a - b| / max(1, max |b|), a the logits of an ONNX file and b the model's; NaN where one is not finite."""
    run = import_module("onnxruntime").InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"]).run
    random = torch.Generator().manual_seed(0)
    off = torch.zeros((), dtype=torch.float64)
    for batch in BATCHES:
        images = torch.randn(batch, *input_shape, generator=random)
        a = torch.from_numpy(run(["logits"], {"images": images.numpy()})[0]).double()
        b = model(images).double()
        off = torch.maximum(off, (a - b).abs().max() / b.abs().max().clamp(min=1))
    return float(off)


def trained(net: Architecture, weights: Place) -> nn.Module:
    """The network with these weights, in evaluation mode. Torch's random generator stays where it was.

    Raises:
        InputError: the file cannot be read, or is another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Not `load_file`: it says that a file is not there when it may not be read.
        tensors = load(weights.read_bytes())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights}: {error.strerror if isinstance(error, OSError) else error}") from None
    with torch.random.fork_rng(devices=[]):
        model = build(net)
    has, needs = ({name: tuple(t.shape) for name, t in state.items()} for state in (tensors, model.state_dict()))
    wrong = [name for name in needs | has if has.get(name) != needs.get(name)]
    if wrong:
        raise InputError(
            f"{weights}: not the weights of network {net.key}; {len(wrong)} tensors are missing, too many or of "
            f"another shape, such as {wrong[0]!r}: {has.get(wrong[0])} there, {needs.get(wrong[0])} in the network"
        )
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)


def _needed(net: Architecture, to: Path, weights: Place | None) -> Place:
    if weights is None:
        raise InputError(
            f"{to}: there are no weights of network {net.key} here: no trial of it is complete (the same `resnet-space "
            "run` goes on where it stopped), or they are in a bucket: name it by --checkpoints; or export to .py, "
            "which needs none"
        )
    return weights


def _write_weights(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    from safetensors.torch import save

    # Not `save_file`: its errors do not say what the system said.
    replace(path, lambda temporary: temporary.write_bytes(save(dict(tensors), dict(facts))))


def _weights_beside(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> Path:
    from safetensors import SafetensorError
    from safetensors.torch import load

    def same() -> bool:
        try:
            there = load(path.read_bytes())
        except SafetensorError:
            return False
        return there.keys() == tensors.keys() and all(torch.equal(there[name], tensors[name]) for name in there)

    return _beside(path, same, lambda: _write_weights(path, tensors, facts))


def _beside(path: Path, same: Callable[[], bool], write: Callable[[], Any]) -> Path:
    """Write a file that nobody named, unless there is one."""
    if not path.exists():
        write()
        return path
    try:
        kept = same()
    except InputError:
        kept = False
    if not kept:
        raise InputError(f"{path}: is there already, and holds something else; move it away, or choose another name")
    return path


def _said(description: Path) -> list[str]:
    """The comments of a YAML file that say what images must be."""
    begins = tuple(f"# {name}: " for name in FACT_NAMES)
    return [line for line in description.read_text(encoding="utf-8").split("\n") if line.startswith(begins)]


def _texts(inputs: Inputs | None) -> dict[str, str]:
    return {name: _text(value) for name, value in inputs.facts.items()} if inputs else {}


def _text(value: object) -> str:
    """The value as text that UTF-8 can write."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _one_line(text: str) -> str:
    """The text itself, or its literal if a character in it is not printable: an end of a line, above all."""
    return text if text.isprintable() else ascii(text)
