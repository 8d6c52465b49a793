"""A network as one ONNX file, compared with torch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from resnet_space.errors import InputError, check_utf8
from search.files.atomic import replace
from search.training.formats.taken import TOLERANCE, TRACED_BATCH, Taken

ONNX_EXTRAS = ("onnx", "onnxscript", "onnxruntime")

MAX_ONNX_BYTES = 2_000_000_000
"""Larger weights do not fit one ONNX file: its encoding, protobuf, is limited to 2 GiB."""


def as_onnx(taken: Taken, to: Path) -> list[Path]:
    """Write one file that maps `images` (N, C, H, W) to `logits` (N, classes), or `probabilities` of an ensemble.

    Images are raw pixels of the stored type, or float32 and normalised, as `Taken.raw` says. N is free. The network is
    in evaluation mode, and facts and inputs are in the model's metadata. The file is checked with ONNX's checker, and
    its outputs are compared with torch's on random images in two batch sizes.

    Raises:
        InputError: a package of the `onnx` extra is missing, the weights do not fit a file, its name is not valid
            text, or the outputs differ.
    """
    check_utf8(str(to))
    try:
        onnx = {name: import_module(name) for name in ONNX_EXTRAS}["onnx"]
    except ImportError as error:
        raise InputError(f"{to}: .onnx needs more packages ({error}); pip install 'resnet-space[onnx]'") from None
    size = taken.nbytes
    if size > MAX_ONNX_BYTES:
        raise InputError(
            f"{to}: {size / 1e9:.3g} GB of weights; .onnx takes at most {MAX_ONNX_BYTES / 1e9:.3g} GB; "
            f"export to .safetensors"
        )
    proto = torch.onnx.export(
        taken.module,
        (torch.zeros_like(taken.example(TRACED_BATCH)),),
        input_names=["images"],
        output_names=[taken.output],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    ).model_proto  # type: ignore[union-attr]  # None is what it returns without dynamo
    graph = proto.graph
    # Every node has the path of its line of Python on this machine, which others should not see.
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.helper.set_model_props(proto, taken.all_facts)

    def write(path: Path) -> None:
        path.write_bytes(proto.SerializeToString())
        onnx.checker.check_model(str(path), full_check=True)
        session = import_module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(session.run([taken.output], {"images": images.numpy()})[0])

        off = taken.difference(run)
        if not off <= TOLERANCE:
            raise InputError(
                f"{to}: not written, since onnxruntime's {taken.output} differ from torch's by {off:.2g}, and "
                f"{TOLERANCE:g} is allowed; export to .safetensors"
            )

    replace(to, write)
    return [to]
