"""An export computes what was trained, in every format, and is written completely or not at all."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from broken_disk import no_file_longer_than
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from taking import NET, Take, expected, files, logits, trained_once

from resnet_space import Architecture, InputError, build, complexity, preset
from search.training import checkpoint
from search.training.export import FORMATS, export, load_trained, weights_of

every_format = pytest.mark.parametrize("suffix", FORMATS)


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with other classes."""
    return trained_once(NET.replace(classes=7), tmp_path_factory.mktemp("other"))


def defined(script: Path) -> dict[str, Any]:
    return runpy.run_path(str(script))


# Python


@pytest.mark.slow
def test_the_python_file_runs_alone_and_says_what_the_network_costs(take: Take, out: Path) -> None:
    cost = complexity(NET)
    assert take("my net.py", depth=NET.depth, macs=cost.macs) == [out / "my net.py", out / "my net.safetensors"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "my net.py"], cwd=out, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"params {cost.params}, classes 10, depth 4, macs {cost.macs}\n"


ALONE = """
import runpy, sys
from importlib.abc import MetaPathFinder

class OnlyTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("resnet_space", "search", "safetensors", "torchvision"):
            raise ImportError(name)

sys.meta_path.insert(0, OnlyTorch())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_the_python_file_computes_the_same_logits(weights: Path, take: Take, out: Path) -> None:
    take("net.py")
    network = defined(out / "net.py")["load"]()
    torch.testing.assert_close(logits(network, NET), expected(NET, weights))
    assert network.state_dict().keys() == load_file(weights).keys(), "the weights keep their names"


def test_the_python_file_has_the_facts_and_the_architecture(take: Take, out: Path) -> None:
    take("net.py", error=0.0625, arm="größer", macs=12)
    found = defined(out / "net.py")
    facts = {"key": NET.key, "output": "logits (N, 10)", "error": "0.0625", "arm": "größer", "macs": "12"}
    assert found["FACTS"] == facts
    assert Architecture.of(found["ARCHITECTURE"]) == NET


STOP = "raise SystemExit(7)"
INJECTIONS = [*(f"x{end}{STOP}" for end in ("\n", "\r", "\f", "\0", "\x85", "\u2028", '"""\n')), "\u202e", "\ud800"]
ENCODINGS = ["coding: utf-7", "-*- coding: cp037 -*-"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.dictionaries(st.text(), st.text() | st.integers() | st.floats(), max_size=4))
@example(facts={text: text for text in INJECTIONS})
@example(facts={text: text for text in ENCODINGS})
def test_facts_are_never_code(facts: dict[str, str | int | float], weights: Path, out: Path) -> None:
    for name, own in (("a", {}), ("b", facts)):
        (out / name).mkdir(exist_ok=True)
        export(NET, out / name / "net.py", weights=weights, facts=own)
    a, b = (ast.parse((out / name / "net.py").read_bytes()) for name in ("a", "b"))
    before, after = (ast.literal_eval(without_facts(tree)) for tree in (a, b))
    assert before | {"key": NET.key} == {name: after[name] for name in before}
    assert ast.dump(a) == ast.dump(b)


def without_facts(tree: ast.Module) -> ast.expr:
    """Take the value of FACTS out of a module, and return it."""
    (found,) = (node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FACTS")
    value, found.value = found.value, ast.Constant(None)
    return value


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
        metadata = file.metadata()
    assert Architecture.from_json(metadata.pop("architecture")) == NET
    assert metadata == {"key": NET.key, "output": "logits (N, 10)", "error": "0.5", "x": "\\ud800"}


def test_the_weights_of_the_preferred_trial_that_is_complete_are_found(out: Path) -> None:
    for key in ("a", "b"):
        checkpoint.save_weights(out / "checkpoints" / key, build(NET))
    (out / "checkpoints" / "c").mkdir()
    assert weights_of(out / "checkpoints", ["c", "b", "a"]) == out / "checkpoints" / "b" / checkpoint.WEIGHTS
    assert weights_of(out / "checkpoints", ["c"]) is None


# What goes wrong


@every_format
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


@pytest.mark.parametrize("name", ["net.onx", "net.onnxx", ".py", "net.pt"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name: str, take: Take) -> None:
    with pytest.raises(InputError, match=r"unknown format '\S+'; .*allowed: \.py, \.safetensors, \.onnx, \.pt2, DIR/$"):
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
