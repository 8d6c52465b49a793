"""`resnet-space export` as a user calls it: what is written, and one line for wrong input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from verbs import Cli, Result

from ablations.study import Ablation
from resnet_space import api
from resnet_space.api.exports import Options

STUDY = {
    "name": "exported",
    "net": "resnet20",
    "set": {"width": 0.125, "stages.*.units": 1},
    "baseline": "plain",
    "arms": {
        "plain": {},
        "exclusive gate, bias -6": {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -6}}},
    },
    "data": {"name": "digits", "limit": 100},
    "recipe": {"base": "digits", "epochs": 1},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("exports") / "run"
    api.run(Ablation.of(STUDY), out, inline=True)
    return out


def export(resnet_space: Cli, run: Path, to: str, *options: str, arm: str = "plain") -> Result:
    return resnet_space("export", run, "--arm", arm, "--to", to, *options)


def test_an_arm_is_exported_by_its_name_and_seed(resnet_space: Cli, run: Path) -> None:
    found = export(resnet_space, run, "net.py", "--seed", "1", arm="exclusive gate, bias -6")
    assert found == (0, "net.py\nnet.safetensors\n", "")
    assert "'seed': '1'" in Path("net.py").read_text()


def test_the_default_seed_is_named(resnet_space: Cli, run: Path) -> None:
    found = export(resnet_space, run, "net.safetensors")
    assert (found.status, found.out) == (0, "net.safetensors\nnet.yaml\n")
    assert "the median of the validation errors of seeds 0, 1; another one by --seed" in found.err


def test_all_seeds_are_exported_as_one_network(resnet_space: Cli, run: Path) -> None:
    assert export(resnet_space, run, "net.py", "--ensemble") == (0, "net.py\nnet.safetensors\n", "")
    text = Path("net.py").read_text()
    assert "'output': 'probabilities (N, 10)'" in text
    assert "members_test_errors" in text


WRONG = {
    "an unknown suffix": ("net.onxx", (), "net.onxx: unknown format '.onxx'; did you mean '.onnx'? allowed: "),
    "no such folder": ("nowhere/net.py", (), "nowhere: no such folder; create it, or choose another"),
    "a folder with files": ("full/", (), "full: exists already and is not empty; choose another --to"),
    "an unknown seed": (
        "net.py",
        ("--seed", "5"),
        "--seed 5: --arm plain has no complete trial with it; ",
    ),
    "seed and ensemble": (
        "net.py",
        ("--seed", "0", "--ensemble"),
        "--seed 0: an ensemble has all seeds; use ",
    ),
    "weights of an ensemble": (
        "net.safetensors",
        ("--ensemble",),
        "net.safetensors: .safetensors has the weights of ",
    ),
    "weights with preprocessing": (
        "net.safetensors",
        ("--with-preprocessing",),
        "net.safetensors: --with-preprocessing: .safetensors has weights only; export to .py, .onnx or .pt2",
    ),
    "an unknown library": (
        "net.safetensors",
        ("--state-dict", "tim"),
        "--state-dict: unknown library 'tim'; did you ",
    ),
    "a network that timm lacks": (
        "net.safetensors",
        ("--state-dict", "timm"),
        "--state-dict timm: timm does not have network",
    ),
    "a library for another format": (
        "net.py",
        ("--state-dict", "timm"),
        "net.py: --state-dict timm: the names of ",
    ),
    "a name that hides a module": ("torch.py", (), "torch.py: would be imported instead of the module 'torch'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gets_one_line(name: str, resnet_space: Cli, run: Path) -> None:
    to, options, message = WRONG[name]
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    found = export(resnet_space, run, to, *options)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith(f"error: {message}")
    assert found.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["full"]


def test_without_the_packages_of_onnx_the_extra_is_named(
    resnet_space: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = export(resnet_space, run, "net.onnx", "--seed", "0")
    assert (found.status, found.out) == (2, "")
    assert found.err.endswith("pip install 'resnet-space[onnx]'\n")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize("to", ["net.py", "net.safetensors", "net.onnx", "net.pt2", "net/"])
def test_an_arm_without_a_finished_trial_gets_one_line(to: str, resnet_space: Cli, tmp_path: Path) -> None:
    failing = Ablation.of(STUDY | {"seeds": 1, "recipe": {"base": "digits", "epochs": 1, "lr": 1e30}})
    api.run(failing, tmp_path / "diverged", inline=True)
    found = export(resnet_space, tmp_path / "diverged", to)
    assert (found.status, found.out) == (2, "")
    assert "there are no weights of network" in found.err
    assert "no trial of it is complete" in found.err
    assert found.err.count("\n") == 1


def test_the_run_in_python_exports_with_the_same_options(run: Path, tmp_path: Path) -> None:
    import resnet_space as rs

    options: Options = {"seed": 1, "preprocessing": True}
    assert rs.open_run(run).export("plain", tmp_path / "net.py", **options) == [
        tmp_path / "net.py",
        tmp_path / "net.safetensors",
    ]
    assert "def load(preprocessing: bool = True)" in (tmp_path / "net.py").read_text()
