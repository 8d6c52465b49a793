"""Kernels are checked before they train, in separate processes. Wrong ones are avoided and reported, or refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import bad_kernels
import pytest
import torch
from nets import FUSABLE
from runs import Run, numbers, write
from torch import nn

from resnet_space import Architecture, build
from resnet_space.fused import fuse
from search.files.folder import RunFolder
from search.kernels import soundness
from search.kernels.fork_server import ForkServer, Verdict
from search.kernels.layers import IDLE_LAYERS, RANDOM_LAYERS, Conditions, kernels, relative_error
from search.kernels.soundness import VerdictCache, machine_id, unavoidable_faults
from search.kernels.workarounds import ROUTES, apply_detours, describe, set_route

HERE = Conditions(batch=32, device="cpu", threads=1, precision="float32")

STRIDED = """
import sys
import torch
from resnet_space.conv_layers import conv
from resnet_space.layers import Convolution
from resnet_space.fused import form
from search.kernels.layers import Conditions, Kernel, relative_error

conditions = Conditions(batch=128, device="cpu", threads=int(sys.argv[1]), precision="float32")
torch.set_num_threads(conditions.threads)
for channels in range(1, 18):
    for width in (8, 16):
        single = conv(Convolution((1, 1), channels, width, 2)).to("meta")
        for kernel in (Kernel(single, ((channels, 8, 8),)), Kernel(form([single] * 3), ((3 * channels, 8, 8),))):
            print(relative_error(kernel, conditions)[0], kernel.name)
"""
"""Checks strided 1x1 convolutions in this process: with oneDNN's fault it dies, or one is wrong."""

NETS = {**FUSABLE, "dropout": {"unit.shortcut": "dropout"}, "three colours": {"input_shape": [3, 8, 8]}}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest, tiny_net: Architecture) -> Architecture:
    return tiny_net.assign(NETS[request.param])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("processor", ["AVX2", "DEFAULT"])
def test_a_strided_1x1_convolution_has_the_gradient_of_float64_on_every_processor(
    processor: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", processor)
    # Threads that wait would keep others from the processor.
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    done = subprocess.run(
        [sys.executable, "-c", STRIDED, str(threads)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"ended by signal {-done.returncode}"
    errors = {name: float(off) for off, _, name in (line.partition(" ") for line in done.stdout.splitlines())}
    assert len(errors) == 17 * 2 * 2
    assert {name: off for name, off in errors.items() if off > 1e-5} == {}


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "fused"])
def test_every_layer_that_computes_is_among_the_kernels(number: int, net: Architecture) -> None:
    if number > 1 and net.blueprint.units[0].shortcut.drop:
        pytest.skip("its output is drawn")
    model = build(net, 0) if number == 1 else fuse([build(net, seed) for seed in range(number)])
    parts = [part for part in model.modules() if not [*part.children()]]
    kinds = nn.Conv2d | nn.BatchNorm2d | nn.MaxPool2d | nn.Linear
    assert {describe(part) for part in parts if isinstance(part, kinds)} <= {
        kernel.layer_text for kernel in kernels(*[net] * number)
    }
    assert not any(isinstance(kernel.layer, IDLE_LAYERS + RANDOM_LAYERS) for kernel in kernels(*[net] * number))


@pytest.mark.parametrize("number", [1, 3], ids=["alone", "fused"])
def test_every_kernel_agrees_with_float64_directly_and_on_every_route(number: int, net: Architecture) -> None:
    if number > 1 and net.blueprint.units[0].shortcut.drop:
        number = 1
    for kernel in kernels(*[net] * number):
        for route in ("", *ROUTES):
            off, place = relative_error(kernel, HERE, route)
            assert off < 1e-5, (kernel.name, route, place)


def test_the_kernels_of_mixed_networks_are_those_of_the_fused_network(tiny_net: Architecture) -> None:
    nets = [tiny_net.assign({"unit.shortcut": kind}) for kind in ("identity", "conv1x1", "conv1x1", "exclusive_gate")]
    model = fuse([build(net, seed) for seed, net in enumerate(nets)])
    parts = [part for part in model.modules() if not [*part.children()] and not isinstance(part, IDLE_LAYERS)]
    assert {describe(part) for part in parts} == {kernel.layer_text for kernel in kernels(*nets)}
    groups = {part.groups for part in parts if isinstance(part, nn.Conv2d)}
    assert groups == {1, 2, 4}, "one gate, two projections, four branches"
    for kernel in kernels(*nets):
        off, place = relative_error(kernel, HERE)
        assert off < 1e-5, (kernel.name, place)


def test_every_kernel_of_bf16_is_off_by_no_more_than_its_rounding(tiny_net: Architecture) -> None:
    conditions = replace(HERE, precision="bf16")
    errors = {kernel.name: relative_error(kernel, conditions)[0] for kernel in kernels(tiny_net)}
    assert {name: off for name, off in errors.items() if off > conditions.tolerance} == {}
    assert max(errors.values()) > HERE.tolerance, "the same check takes what float32 would not"


def test_a_copied_layer_on_a_detour_keeps_its_names_statistics_and_weights(tiny_net: Architecture) -> None:
    import copy

    model, other = build(tiny_net, 0), build(tiny_net, 0)
    apply_detours(other, {describe(part): "in float64" for part in other.modules() if isinstance(part, nn.BatchNorm2d)})
    twin = copy.deepcopy(other)
    x = torch.randn(16, *tiny_net.input_shape)
    torch.testing.assert_close(other(x), model(x), atol=1e-5, rtol=1e-4)
    assert other.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)
    untouched = build(tiny_net, 0).state_dict()
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in twin.state_dict().items())
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    torch.testing.assert_close(twin(x), build(tiny_net, 0)(x), atol=1e-5, rtol=1e-4)


def test_a_route_does_not_replace_the_weights_that_the_optimiser_has() -> None:
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    weight = layer.weight
    set_route(layer, "channels first")
    layer(torch.randn(2, 3, 8, 8)).sum().backward()
    assert layer.weight is weight
    assert weight.grad is not None


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fork server whose children have the fault that the test names."""
    for name, value in bad_kernels.environment(tmp_path, request.param).items():
        monkeypatch.setenv(name, value)
    brief = "from search.kernels import fork_server; fork_server.KERNEL_SECONDS = 2; fork_server.serve()"
    made = ForkServer([sys.executable, "-c", brief])
    yield made
    made.close()


def verdicts(server: ForkServer, net: Architecture, networks: int = 1) -> dict[str, Verdict]:
    names = [kernel.name for kernel in kernels(*[net] * networks)]
    request: dict[str, Any] = {
        "nets": [net.model_dump(mode="json")] * networks,
        "kernels": names,
        "conditions": asdict(HERE),
        "route": "",
    }
    found = {verdict.kernel: verdict for verdict in server.ask(request)}
    assert [*found] == names
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "networks", "layer", "died"),
    [
        ("lie conv2d 8", 1, "Conv2d(4, 8,", ""),
        ("die conv2d 8", 1, "Conv2d(4, 8,", "SIGSEGV"),
        ("hang conv2d 8", 1, "Conv2d(4, 8,", "SIGALRM"),
        ("lie batch_norm 8", 1, "BatchNorm2d(8,", ""),
        ("die groups 2", 2, "Conv2d(8, 16,", "SIGSEGV"),
    ],
    indirect=["server"],
)
def test_a_kernel_that_is_wrong_dies_or_hangs_is_found_and_no_other(
    server: ForkServer, networks: int, layer: str, died: str, tiny_net: Architecture
) -> None:
    found = verdicts(server, tiny_net, networks)
    bad = {name: verdict for name, verdict in found.items() if not verdict.sound(HERE.tolerance)}
    assert any(name.startswith(layer) for name in bad)
    assert {verdict.died for verdict in bad.values()} == {died}
    if not died:
        assert {round(verdict.error or 0, 3) for verdict in bad.values()} == {0.5}
        assert {verdict.place for verdict in bad.values()} == {"gradient of weight"}
    assert all(verdict.sound(HERE.tolerance) for name, verdict in found.items() if name.startswith(("Linear", "ReLU")))


def test_answers_to_a_request_that_was_interrupted_are_not_taken_for_those_of_the_next_one(
    tiny_net: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl-C in a notebook, after the first answer."""
    server = ForkServer()
    interrupted = iter([True])

    def first(**fields: Any) -> Verdict:
        if next(interrupted, False):
            raise KeyboardInterrupt
        return Verdict(**fields)

    monkeypatch.setattr("search.kernels.fork_server.Verdict", first)
    try:
        with pytest.raises(KeyboardInterrupt):
            verdicts(server, tiny_net, networks=2)
        found = verdicts(server, tiny_net)
    finally:
        server.close()
    assert found.keys() == {kernel.name for kernel in kernels(tiny_net)}
    assert all(verdict.sound(HERE.tolerance) for verdict in found.values())


@pytest.mark.parametrize("server", ["lie conv2d 0"], indirect=True)
def test_a_server_that_was_killed_is_started_again(server: ForkServer, tiny_net: Architecture) -> None:
    verdicts(server, tiny_net)
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    assert all(verdict.sound(HERE.tolerance) for verdict in verdicts(server, tiny_net).values())


AVOIDED = "avoided: computed channels first"

FAULTS = {
    "lying convolution": ("lie conv2d 8", {}, "is wrong: gradient of weight has a relative error of 0.5"),
    "dying convolution": ("die conv2d 8", {}, "kills its process by SIGSEGV"),
    "lying normalisation": ("lie batch_norm 8", {}, "BatchNorm2d(8, "),
    "dying fused step": ("die groups 2", {"resources": {"fuse": 2}}, "groups=2"),
}


RECIPE = {"base": "digits", "epochs": 2, "batch_size": 32}


def results(out: Path) -> list[float]:
    """Everything that a run measured, without identifiers."""
    return [value for row in numbers(out) for value in row.values() if isinstance(value, float)]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    folder = tmp_path_factory.mktemp("right")
    with Run(write(folder, recipe=RECIPE), folder / "run", "--inline") as run:
        assert run.end() == 0, run.stderr
    return results(folder / "run")


@pytest.mark.long
@pytest.mark.parametrize("case", FAULTS)
def test_a_run_with_a_wrong_kernel_has_the_numbers_of_a_right_one_and_reports_it(
    case: str, right: list[float], tmp_path: Path
) -> None:
    fault, changes, what = FAULTS[case]
    study = write(tmp_path, recipe=RECIPE, **changes)
    with Run(study, tmp_path / "bad", "--inline", environment=bad_kernels.environment(tmp_path, fault)) as bad:
        assert bad.end() == 0, bad.stderr
    found = [line for line in bad.stderr.splitlines() if "kernel " in line]
    assert found
    assert all(what in line and AVOIDED in line for line in found)
    [session] = RunFolder.existing(tmp_path / "bad").read_manifest()["sessions"]
    assert session["kernels"] == found
    assert "wrong kernel" in (tmp_path / "bad" / "report" / "report.html").read_text()
    assert results(tmp_path / "bad") == pytest.approx(right, rel=1e-3, abs=0.012)


@pytest.mark.slow
def test_a_kernel_that_is_wrong_on_every_route_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    environment = bad_kernels.environment(tmp_path, "lie_always conv2d 8")
    with Run(write(tmp_path), tmp_path / "run", "--inline", environment=environment) as run:
        assert run.end() == 2
    assert "error: this machine: kernel Conv2d(4, 8, kernel_size=(3, 3)" in run.stderr
    assert "gradient of weight has a relative error of 0.5, and 0.0001 is allowed" in run.stderr
    assert "`resnet-space doctor`" in run.stderr
    assert "complete" not in run.stderr


def test_a_wrong_kernel_whose_routes_cannot_be_checked_is_refused(
    tiny_net: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ends:
        """A fork server that finds every kernel wrong, and ends when a route is requested."""

        def ask(self, request: dict[str, Any]) -> list[Verdict]:
            return [] if request["route"] else [Verdict(name, 0.5, "output") for name in request["kernels"]]

    monkeypatch.setenv("RESNET_SPACE_CACHE", str(tmp_path))
    monkeypatch.setattr(soundness, "fork_server", Ends)
    with pytest.raises(soundness.FaultyKernel, match=r"output has a relative error of 0\.5, and 0\.0001 is allowed"):
        soundness.check_kernels(HERE, tiny_net)


def test_a_process_that_sees_no_gpu_does_not_check_kernels_for_it(tiny_net: Architecture) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert unavoidable_faults([tiny_net], replace(HERE, device="cuda")) == []


def test_verdicts_are_cached_and_an_incomplete_line_is_skipped(tmp_path: Path) -> None:
    kept = VerdictCache(tmp_path / "there" / "machine.jsonl")
    assert kept.read(["a"]) == {}
    kept.add({"a": Verdict("a", 0.5, "output"), "b": Verdict("b", died="SIGSEGV")})
    with kept.path.open("a") as file:
        file.write('["c", {"kernel": "c", "err')
    assert kept.read(["a", "c"]) == {"a": Verdict("a", 0.5, "output")}


def test_another_setting_of_the_library_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_id.cache_clear()
    before = machine_id("cpu")
    machine_id.cache_clear()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert machine_id("cpu") != before
    machine_id.cache_clear()
