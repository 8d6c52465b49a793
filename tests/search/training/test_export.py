"""An export computes what was trained, in every format, and is written completely or not at all."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from broken_disk import no_file_longer_than
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import resnet_space
from resnet_space import PRESETS, Architecture, InputError, build, complexity, preset
from resnet_space.branches import BRANCHES
from resnet_space.orders import ORDERS, OrderName
from resnet_space.shortcuts import SHORTCUTS
from search.training import checkpoint
from search.training import export as module
from search.training.export import FORMATS, difference, export, load_trained, weights_of

Take = Callable[..., list[Path]]

STAGE = {"units": 1, "channels": 8, "stride": 2}
NET = Architecture.of({"input_shape": [1, 8, 8], "stem": {"channels": 4}, "stages": [STAGE]})

every_format = pytest.mark.parametrize("suffix", FORMATS)


def trained_once(net: Architecture, folder: Path) -> Path:
    """Weights that are not the initial ones, with running means and variances to match."""
    torch.manual_seed(1)
    model = build(net)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(3):
            model(torch.randn(16, *net.input_shape))
    checkpoint.save_weights(folder, model)
    return folder / checkpoint.WEIGHTS


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_once(NET, tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with other classes."""
    return trained_once(NET.replace(classes=7), tmp_path_factory.mktemp("other"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder to write into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def take(weights: Path, out: Path) -> Take:
    """`take("net.py")` exports `NET` into `out`, with its weights unless others are given."""

    def make(name: str, weights: Path | None = weights, **facts: str | int | float) -> list[Path]:
        return export(NET, out / name, weights=weights, facts=facts)

    return make


def images(net: Architecture) -> Tensor:
    return torch.randn(5, *net.input_shape, generator=torch.Generator().manual_seed(7))


@torch.no_grad()
def logits(model: nn.Module, net: Architecture) -> Tensor:
    out: Tensor = model(images(net))
    return out


def expected(net: Architecture, weights: Path) -> Tensor:
    """The logits of torch with the trial's weights."""
    model = build(net)
    model.load_state_dict(load_file(weights))
    return logits(model.eval(), net)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def defined(script: Path) -> dict[str, Any]:
    return runpy.run_path(str(script))


# Python


@pytest.mark.slow
def test_the_python_file_runs_from_its_folder_and_says_what_the_network_costs(take: Take, out: Path) -> None:
    assert take("my net.py", test_error=0.25) == [out / "my net.py", out / "my net.safetensors"]
    env = {**os.environ, "PYTHONPATH": str(Path(resnet_space.__file__).parent.parent)}
    command = [sys.executable, "my net.py"]
    done = subprocess.run(command, cwd=out, env=env, capture_output=True, text=True, check=False)
    cost = complexity(NET)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"depth 4, params {cost.params}, macs {cost.macs}, classes 10\n"


def test_the_python_file_computes_the_same_logits(weights: Path, take: Take, out: Path) -> None:
    take("net.py")
    network = defined(out / "net.py")["network"]()
    assert torch.equal(logits(network, NET), expected(NET, weights))


def test_without_weights_the_python_file_is_the_only_file(take: Take, out: Path) -> None:
    assert take("net.py", weights=None) == [out / "net.py"]
    assert list(files(out)) == ["net.py"]
    assert "random, not trained" in (out / "net.py").read_text("utf-8")
    assert logits(defined(out / "net.py")["network"](), NET).shape == (5, 10)


OWN_UNIT = preset("resnet20").assign({"stages.1.unit": {"shortcut": {"kind": "dropout", "p": 0.25}}})


@pytest.mark.parametrize("net", [*map(preset, PRESETS), OWN_UNIT], ids=[*PRESETS, "a stage with its own unit"])
def test_the_python_file_describes_the_same_network(net: Architecture, out: Path) -> None:
    export(net, out / "net.py", weights=None)
    assert defined(out / "net.py")["ARCHITECTURE"] == net


def test_the_facts_are_at_the_top_of_the_python_file(take: Take, out: Path) -> None:
    take("net.py", error=0.0625, arm="größer", macs=12)
    comments = re.findall("^# (.*)$", (out / "net.py").read_text("utf-8"), flags=re.MULTILINE)
    assert comments == [f"key: {NET.key}", "error: 0.0625", "arm: größer", "macs: 12"]


STOP = "raise SystemExit(7)"
INJECTIONS = [*(f"x{end}{STOP}" for end in ("\n", "\r", "\f", "\0", "\x85", "\u2028", '"""\n')), "\u202e", "\ud800"]
ENCODINGS = ["coding: utf-7", "-*- coding: cp037 -*-"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.dictionaries(st.text(), st.text() | st.integers() | st.floats(), max_size=4))
@example(facts={text: text for text in INJECTIONS})
@example(facts={text: text for text in ENCODINGS})
def test_facts_are_never_code(facts: dict[str, str | int | float], out: Path) -> None:
    export(NET, out / "a.py", weights=None)
    export(NET, out / "b.py", weights=None, facts=facts)
    a, b = (ast.dump(ast.parse((out / name).read_bytes())) for name in ("a.py", "b.py"))
    assert a == b


@pytest.mark.parametrize("stem", ['a"b', "a'b", "a\nb", "a\\", "${x}{y}%s"], ids=ascii)
def test_the_name_of_a_file_is_never_code(stem: str, take: Take, out: Path) -> None:
    take(f"{stem}.py")
    assert defined(out / f"{stem}.py")["WEIGHTS"] == out / f"{stem}.safetensors"


@pytest.mark.parametrize("stem", ["torch", "resnet_space", "random"])
def test_a_name_that_hides_a_module_is_refused(stem: str, take: Take) -> None:
    with pytest.raises(InputError, match=rf"{stem}\.py: would be imported instead of the module '{stem}'; choose"):
        take(f"{stem}.py")


# Weights


def test_weights_and_description_rebuild_the_network(weights: Path, take: Take, out: Path) -> None:
    assert take("net.safetensors") == [out / "net.safetensors", out / "net.yaml"]
    model = build(Architecture.from_yaml(out / "net.yaml"))
    model.load_state_dict(load_file(out / "net.safetensors"), strict=True)
    assert torch.equal(logits(model.eval(), NET), expected(NET, weights))


def test_weights_have_key_and_facts_as_metadata(take: Take, out: Path) -> None:
    take("net.safetensors", error=0.5, key="another", x="\ud800")
    with safe_open(out / "net.safetensors", framework="pt") as file:
        assert file.metadata() == {"key": NET.key, "error": "0.5", "x": "\\ud800"}


def test_the_weights_of_the_preferred_trial_that_is_complete_are_found(out: Path) -> None:
    for key in ("a", "b"):
        checkpoint.save_weights(out / "checkpoints" / key, build(NET))
    (out / "checkpoints" / "c").mkdir()
    assert weights_of(out / "checkpoints", ["c", "b", "a"]) == out / "checkpoints" / "b" / checkpoint.WEIGHTS
    assert weights_of(out / "checkpoints", ["c"]) is None


# ONNX


def all_shortcuts(order: OrderName, branch: str, transition: str) -> Architecture:
    """A network with a stage for each shortcut; each stage but the first changes the shape."""
    stages = [
        {**STAGE, "channels": 8 + 4 * index, "stride": 2 if index in (1, 3) else 1, "unit": {"shortcut": kind}}
        for index, kind in enumerate(SHORTCUTS)
    ]
    grouped = {"kind": branch, "width": 4, "cardinality": 2} if branch == "bottleneck" else branch
    unit = {"order": order, "branch": grouped}
    stem = {"channels": 8, "max_pool": transition == "C"}
    shape = {"input_shape": [3, 8, 9], "stem": stem, "stages": stages}
    return Architecture.of({**shape, "unit": unit, "transition": transition})


NETS = list(zip(ORDERS, cycle(BRANCHES), cycle("ABC"), strict=False))


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
    assert {entry.key: entry.value for entry in proto.metadata_props} == {"key": NET.key, "error": "0.5"}
    shape = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", 1, 8, 8]
    for place in (Path(resnet_space.__file__).parent, Path(torch.__file__).parent, out):
        assert str(place).encode() not in content["net.onnx"]


def test_other_weights_give_a_large_difference(weights: Path, take: Take, out: Path) -> None:
    take("net.onnx")
    larger = {name: 1.5 * tensor for name, tensor in load_file(weights).items()}
    save_file(larger, out / "larger")
    same, other = load_trained(NET, weights), load_trained(NET, out / "larger")
    assert difference(out / "net.onnx", same, NET.input_shape) <= 1e-4
    assert difference(out / "net.onnx", other, NET.input_shape) > 0.1


def test_a_difference_that_is_too_large_leaves_the_existing_file(weights: Path, take: Take, out: Path) -> None:
    (out / "net.onnx").write_bytes(b"before")
    tensors = load_file(weights)
    tensors["head.2.bias"][0] = torch.nan
    save_file(tensors, out.parent / "broken")
    with pytest.raises(InputError, match=r"net\.onnx: not written, .* differ from torch's by nan, and 0.0001 is al"):
        take("net.onnx", weights=out.parent / "broken")
    assert files(out) == {"net.onnx": b"before"}


def test_weights_too_large_for_one_file_are_refused(take: Take, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ONNX_BYTES", 2000)
    with pytest.raises(InputError, match=r"net\.onnx: \S+ GB of weights; \.onnx takes at most 2e-06 GB; export to "):
        take("net.onnx")
    assert files(out) == {}


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_says_what_to_install(package: str, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"\.onnx needs more .*{package}.*; pip install 'resnet-space\[onnx\]'$"):
        take("net.onnx")


# What goes wrong


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_without_weights_it_says_that_no_trial_is_complete(suffix: str, take: Take, out: Path) -> None:
    with pytest.raises(
        InputError, match=rf"net{suffix}: there are no weights .* no trial of it is complete .* resumes the run"
    ):
        take(f"net{suffix}", weights=None)
    assert files(out) == {}


@every_format
def test_weights_of_another_network_are_refused(suffix: str, take: Take, other_weights: Path, out: Path) -> None:
    message = r"weights\.safetensors: not the weights of network \w+; 2 tensors .* 'head\.2\.\w+': \(7,.*\(10,"
    with pytest.raises(InputError, match=message):
        take(f"net{suffix}", weights=other_weights)
    assert files(out) == {}


@every_format
@pytest.mark.parametrize("damage", [b"", b"\x80\x04}.", b"\xff" * 100, None], ids=["empty", "pickle", "bytes", "gone"])
def test_weights_that_cannot_be_read_are_named(damage: bytes | None, suffix: str, take: Take, out: Path) -> None:
    if damage is not None:
        (out.parent / "bad").write_bytes(damage)
    with pytest.raises(InputError, match="/bad: " + ("" if damage is not None else "No such file or directory")):
        take(f"net{suffix}", weights=out.parent / "bad")
    assert files(out) == {}


@pytest.mark.parametrize("name", ["net.onx", "net.onnxx", "net", ".py", "net.pt"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name: str, take: Take) -> None:
    with pytest.raises(InputError, match=r"unknown format '\S+'; .*allowed: \.py, \.safetensors, \.onnx$"):
        take(name)


@every_format
def test_a_missing_folder_is_named_and_not_created(suffix: str, take: Take, out: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        take(f"nowhere/net{suffix}")
    assert files(out) == {}


@every_format
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_reported(suffix: str, take: Take, out: Path) -> None:
    out.chmod(0o500)
    with pytest.raises(InputError, match=f"net{suffix}: Permission denied"):
        take(f"net{suffix}")


@every_format
def test_a_write_that_fails_leaves_the_existing_file(suffix: str, take: Take, out: Path) -> None:
    (out / f"net{suffix}").write_bytes(b"before")
    with no_file_longer_than(500), pytest.raises(InputError, match=f"net{suffix}: File too large"):
        take(f"net{suffix}")
    left = files(out)
    assert left.pop(f"net{suffix}") == b"before"
    assert set(left) <= {"net.yaml"}, "nothing half written"


# What was there


@every_format
def test_the_file_that_was_named_is_replaced(suffix: str, take: Take, out: Path) -> None:
    (out / f"net{suffix}").write_bytes(b"before")
    take(f"net{suffix}", error=0.25)
    assert b"0.25" in (out / f"net{suffix}").read_bytes()


def test_formats_of_one_network_can_share_a_name(take: Take, out: Path) -> None:
    for name in ("net.safetensors", "net.py", "net.safetensors"):
        take(name, a=1, b=2, c=3, d=4)
    assert sorted(files(out)) == ["net.py", "net.safetensors", "net.yaml"]


@pytest.mark.parametrize(
    ("name", "beside", "text"),
    [
        ("net.safetensors", "net.yaml", "study: mine"),
        ("net.safetensors", "net.yaml", "["),
        ("net.safetensors", "net.yaml", preset("resnet20").to_yaml()),
        ("net.py", "net.safetensors", "{}"),
        ("net.py", "net.safetensors", None),
    ],
    ids=["another description", "no YAML", "another network", "no weights", "other weights"],
)
def test_a_file_that_was_not_named_is_not_overwritten(
    name: str, beside: str, text: str | None, take: Take, other_weights: Path, out: Path
) -> None:
    content = text.encode() if text else other_weights.read_bytes()
    (out / beside).write_bytes(content)
    with pytest.raises(InputError, match=f"{beside}: exists already with other contents; move it away, or cho"):
        take(name)
    assert files(out) == {beside: content}


def test_random_numbers_of_torch_do_not_change(weights: Path) -> None:
    torch.manual_seed(3)
    drawn = torch.rand(4)
    torch.manual_seed(3)
    load_trained(NET, weights)
    assert torch.equal(torch.rand(4), drawn)
