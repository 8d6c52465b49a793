"""ONNX computes the same logits for any batch size, is one file, and is not written if it would compute others."""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from taking import NET, STAGE, Take, expected, files, images, trained_once

import resnet_space
from resnet_space import Architecture, InputError
from resnet_space.branches import BRANCHES
from resnet_space.orders import ORDERS, OrderName
from resnet_space.shortcuts import SHORTCUTS
from search.training.export import export, load_trained
from search.training.formats import as_onnx
from search.training.formats.taken import Taken


def all_shortcuts(order: OrderName, branch: str, transition: str) -> Architecture:
    """A network with a stage for each shortcut; each stage but the first changes the shape."""
    stages = [
        {**STAGE, "channels": 8 + 4 * index, "stride": 2 if index in (1, 3) else 1, "unit": {"shortcut": kind}}
        for index, kind in enumerate(SHORTCUTS)
    ]
    grouped = {"kind": branch, "width": 4, "cardinality": 2} if branch == "bottleneck" else branch
    unit = {"order": order, "branch": grouped}
    # The last map is 4x5: the windows of some branches are larger than smaller maps.
    pooled = transition == "C"
    side = 32 if pooled else 16
    stem = {"channels": 8, "max_pool": pooled}
    shape = {"input_shape": [3, side, side + 1], "stem": stem, "stages": stages}
    return Architecture.of({**shape, "unit": unit, "transition": transition})


NETS = list(zip(ORDERS, cycle(name for name in BRANCHES if name != "written"), cycle("ABC"), strict=False))


@pytest.mark.slow
@pytest.mark.parametrize(("order", "branch", "transition"), NETS)
def test_onnx_computes_the_same_logits_for_any_batch(order: OrderName, branch: str, transition: str, out: Path) -> None:
    import onnx
    import onnxruntime

    net = all_shortcuts(order, branch, transition)
    weights, path = trained_once(net, out), out / "net.onnx"
    assert export(net, path, weights=weights) == [path]
    assert "Slice" not in {node.op_type for node in onnx.load(str(path)).graph.node} or transition == "A", (
        "strided convolutions are themselves"
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    in_torch = expected(net, weights)
    assert in_torch.std() > 1e-3, "not all the same"
    for batch in (1, 5):
        (found,) = session.run(["logits"], {"images": images(net)[:batch].numpy()})
        torch.testing.assert_close(torch.from_numpy(found), in_torch[:batch], rtol=1e-4, atol=1e-4)


def test_onnx_is_one_file_with_facts_and_no_paths(take: Take, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import onnx

    take("net.onnx", error=0.5)
    assert capfd.readouterr() == ("", ""), "what goes to stdout may be piped"
    content = files(out)
    assert list(content) == ["net.onnx"]
    proto = onnx.load_from_string(content["net.onnx"])
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert Architecture.from_json(metadata.pop("architecture")) == NET
    assert metadata == {"key": NET.key, "output": "logits (N, 10)", "error": "0.5"}
    shape = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", 1, 8, 8]
    for place in (Path(resnet_space.__file__).parent, Path(torch.__file__).parent, out):
        assert str(place).encode() not in content["net.onnx"]


def test_other_weights_give_a_large_difference(weights: Path, out: Path) -> None:
    larger = {name: 1.5 * tensor for name, tensor in load_file(weights).items()}
    save_file(larger, out / "larger")
    taken = Taken(NET, (weights,), {})
    assert taken.difference(load_trained(NET, weights)) <= 1e-4
    assert taken.difference(load_trained(NET, out / "larger")) > 0.1


def test_a_difference_that_is_too_large_leaves_the_existing_file(weights: Path, take: Take, out: Path) -> None:
    (out / "net.onnx").write_bytes(b"before")
    tensors = load_file(weights)
    tensors["head.2.bias"][0] = torch.nan
    save_file(tensors, out.parent / "broken")
    with pytest.raises(InputError, match=r"net\.onnx: not written, .* differ from torch's by nan, and 0.0001 is al"):
        take("net.onnx", weights=out.parent / "broken")
    assert files(out) == {"net.onnx": b"before"}


def test_weights_too_large_for_one_file_are_refused(take: Take, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_onnx, "MAX_ONNX_BYTES", 2000)
    with pytest.raises(InputError, match=r"net\.onnx: \S+ GB of weights; \.onnx takes at most 2e-06 GB; export to "):
        take("net.onnx")
    assert files(out) == {}


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_says_what_to_install(package: str, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"\.onnx needs more .*{package}.*; pip install 'resnet-space\[onnx\]'$"):
        take("net.onnx")
