"""Export a network as Python code that builds it, as its weights, or as ONNX. `FORMATS` has a function per format."""

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
from resnet_space.errors import check_utf8, unknown
from search.data.inputs import FACT_NAMES, Inputs
from search.files.atomic import replace, write_text
from search.files.bucket import Place
from search.training.checkpoint import WEIGHTS

ONNX_EXTRAS = ("onnx", "onnxscript", "onnxruntime")

MAX_ONNX_BYTES = 2_000_000_000
"""Larger weights do not fit one ONNX file: its encoding, protobuf, is limited to 2 GiB."""

TOLERANCE = 1e-4
"""The allowed difference between the logits of onnxruntime and torch: max |a - b| / max(1, max |b|)."""

BATCHES = (1, 3)
"""The batch sizes of that comparison. The network is traced with another one."""

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
    """Write the network to `to`, in the format of its suffix, and return the paths of all files that were written.

    `weights` is a trial's `weights.safetensors`. `facts` (errors, MACs, source) and `inputs` (what the images must be)
    are written as comments or metadata, with the network's key. Each file is written completely or not at all, `to`
    last. `to` is overwritten if it exists. A companion file is not: one with the same content stays, and one with
    another content is an error.

    Raises:
        InputError: the format or folder does not exist, a file cannot be written, the format needs weights and there
            are none, they are another network's, or an error of ONNX: see `as_onnx`.
    """
    form = FORMATS.get(to.suffix.lower())
    if form is None:
        raise unknown("format", to.suffix or to.name, FORMATS, path=str(to))
    if not to.parent.is_dir():
        raise InputError(f"{to.parent}: no such folder; create it, or choose another")
    named = {_text(name): _text(value) for name, value in (facts or {}).items()}
    try:
        return form(net, to, weights, {"key": net.key} | named | {"key": net.key}, inputs)
    except OSError as error:
        raise InputError(f"{to}: {error.strerror or error}") from None


def weights_of(checkpoints: Place, keys: Sequence[str]) -> Place | None:
    """Return the weights of the first of these trials that has any, or None.

    `keys` are the trials' keys in order of preference.
    """
    paths = (checkpoints / key / WEIGHTS for key in keys)
    return next((path for path in paths if path.is_file()), None)


def as_python(
    net: Architecture, to: Path, weights: Place | None, facts: Facts, inputs: Inputs | None = None
) -> list[Path]:
    """Write a module whose `network()` builds the network, and a `.safetensors` next to it if there are weights.

    With `inputs` the module has MEAN, STD and CLASSES, and a `normalise(images)` whose result `network()` takes.

    All text from outside is written as a literal, or as a comment of one printable line.
    """
    if to.stem in sys.stdlib_module_names or to.stem in sys.modules:
        # Python searches a script's folder first.
        raise InputError(f"{to}: would be imported instead of the module {to.stem!r}; choose another name")
    companion = to.with_suffix(".safetensors")
    both = facts | _texts(inputs)
    written = [_write_companion_weights(companion, load_trained(net, weights).state_dict(), both)] if weights else []
    data = net.model_dump(mode="json", exclude_none=True)
    # The docstring comes first: a comment in the first two lines can change a file's encoding.
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
        *([f"WEIGHTS = Path(__file__).with_name({companion.name!r})"] if weights else []),
        *(_normalisation(inputs) if inputs else []),
        "",
        "",
        "def network() -> torch.nn.Module:",
        f'    """Normalised images (N, {", ".join(map(str, net.input_shape))}) to logits (N, {net.classes}); '
        f"{'the weights are trained' if weights else 'the weights are random, not trained'}."
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
    """Return lines of Python with the mean and standard deviation as literals, and a function that normalises."""
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
        f'"""One number per channel, for pixels as the data have them: {inputs.units}."""',
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
    """Write the weights under the names of `build(net).state_dict()`, and a `.yaml` of the architecture next to them.

    Facts and inputs are in the file's metadata, the inputs also in comments at the top of the YAML.
    """
    tensors = load_trained(net, _required(net, to, weights)).state_dict()
    companion = to.with_suffix(".yaml")
    head = [f"# {_one_line(name)}: {_one_line(value)}" for name, value in _texts(inputs).items()]

    def same() -> bool:
        # A file that the user wrote has no such comments. With other comments it belongs to another network.
        return Architecture.from_yaml(companion).key == net.key and _input_comments(companion) in ([], head)

    _write_companion(companion, same, lambda: write_text(companion, "\n".join([*head, net.to_yaml()])))
    _write_weights(to, tensors, facts | _texts(inputs))
    return [to, companion]


def as_onnx(
    net: Architecture, to: Path, weights: Place | None, facts: Facts, inputs: Inputs | None = None
) -> list[Path]:
    """Write one file that maps `images` (N, C, H, W), float32 and normalised as in training, to `logits` (N, classes).

    N is free. The network is in evaluation mode, and facts and inputs are in the model's metadata. The file is checked
    with ONNX's checker, and its logits are compared with torch's on random images in two batch sizes.

    Raises:
        InputError: a package of the `onnx` extra is missing, the weights do not fit a file, its name is not valid
            text, or the logits differ.
    """
    weights = _required(net, to, weights)
    check_utf8(str(to))
    try:
        onnx = {name: import_module(name) for name in ONNX_EXTRAS}["onnx"]
    except ImportError as error:
        raise InputError(f"{to}: .onnx needs more packages ({error}); pip install 'resnet-space[onnx]'") from None
    model = load_trained(net, weights)
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > MAX_ONNX_BYTES:
        raise InputError(
            f"{to}: {size / 1e9:.3g} GB of weights; .onnx takes at most {MAX_ONNX_BYTES / 1e9:.3g} GB; "
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
    # Every node has the path of its line of Python on this machine, which others should not see.
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
                f"{to}: not written, since onnxruntime's logits differ from torch's by {off:.2g}, and {TOLERANCE:g} is "
                "allowed; export to .safetensors"
            )

    replace(to, write)
    return [to]


FORMATS: dict[str, Format] = {".py": as_python, ".safetensors": as_safetensors, ".onnx": as_onnx}
"""The export formats, by the suffix of the file."""


@torch.no_grad()
def difference(onnx_file: Path, model: nn.Module, input_shape: tuple[int, int, int]) -> float:
    """Return max |a - b| / max(1, max |b|), with a the logits of an ONNX file and b the model's; NaN if not finite."""
    run = import_module("onnxruntime").InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"]).run
    random = torch.Generator().manual_seed(0)
    off = torch.zeros((), dtype=torch.float64)
    for batch in BATCHES:
        images = torch.randn(batch, *input_shape, generator=random)
        a = torch.from_numpy(run(["logits"], {"images": images.numpy()})[0]).double()
        b = model(images).double()
        off = torch.maximum(off, (a - b).abs().max() / b.abs().max().clamp(min=1))
    return float(off)


def load_trained(net: Architecture, weights: Place) -> nn.Module:
    """Return the network with these weights, in evaluation mode. Torch's random generator does not change.

    Raises:
        InputError: the file cannot be read, or is another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Not `load_file`: it reports a file without read permission as missing.
        tensors = load(weights.read_bytes())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights}: {error.strerror if isinstance(error, OSError) else error}") from None
    with torch.random.fork_rng(devices=[]):
        model = build(net)
    has, needs = ({name: tuple(t.shape) for name, t in state.items()} for state in (tensors, model.state_dict()))
    wrong = [name for name in needs | has if has.get(name) != needs.get(name)]
    if wrong:
        raise InputError(
            f"{weights}: not the weights of network {net.key}; {len(wrong)} tensors are missing, superfluous or of "
            f"another shape, such as {wrong[0]!r}: {has.get(wrong[0])} in the file, {needs.get(wrong[0])} in the net"
        )
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)


def _required(net: Architecture, to: Path, weights: Place | None) -> Place:
    if weights is None:
        raise InputError(
            f"{to}: there are no weights of network {net.key} here: no trial of it is complete (the same `resnet-space "
            "run` command resumes the run), or they are in a bucket: pass it as --checkpoints; or export to .py, which "
            "needs no weights"
        )
    return weights


def _write_weights(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    from safetensors.torch import save

    # Not `save_file`: its errors hide the system's message.
    replace(path, lambda temporary: temporary.write_bytes(save(dict(tensors), dict(facts))))


def _write_companion_weights(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> Path:
    from safetensors import SafetensorError
    from safetensors.torch import load

    def same() -> bool:
        try:
            existing = load(path.read_bytes())
        except SafetensorError:
            return False
        return existing.keys() == tensors.keys() and all(torch.equal(existing[name], tensors[name]) for name in tensors)

    return _write_companion(path, same, lambda: _write_weights(path, tensors, facts))


def _write_companion(path: Path, same: Callable[[], bool], write: Callable[[], Any]) -> Path:
    """Write a file that the user did not name, unless it exists with the `same` content.

    Raises:
        InputError: it exists with another content.
    """
    if not path.exists():
        write()
        return path
    try:
        kept = same()
    except InputError:
        kept = False
    if not kept:
        raise InputError(f"{path}: exists already with other contents; move it away, or choose another name")
    return path


def _input_comments(description: Path) -> list[str]:
    """Return the comments of a YAML file that describe the images."""
    begins = tuple(f"# {name}: " for name in FACT_NAMES)
    return [line for line in description.read_text(encoding="utf-8").split("\n") if line.startswith(begins)]


def _texts(inputs: Inputs | None) -> dict[str, str]:
    return {name: _text(value) for name, value in inputs.facts.items()} if inputs else {}


def _text(value: object) -> str:
    """Return the value as text that UTF-8 can encode."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _one_line(text: str) -> str:
    """Return the text itself, or its Python literal if a character is not printable, such as a line end."""
    return text if text.isprintable() else ascii(text)
