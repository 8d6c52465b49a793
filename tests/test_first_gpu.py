"""The first run on a GPU loses at most the stage that fails; its code is tested on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import bare
import first_gpu
import pytest
import torch
from gpu_stages.expected import EXPECTED, STAGES
from gpu_stages.layouts import LAYOUTS, with_layout
from gpu_stages.record import table
from sizes import TINY

from search.training.members import Member
from search.training.step import step

ROOT = Path(__file__).resolve().parent.parent

NOT_BROUGHT = ("markdown_it", "mdurl", "pygments", "yacs", "yaml")
"""Optional dependencies of the packages in the list of wheels, which are not installed on the GPU machine."""

WRITES = """
import json, pathlib, sys, time
facts = {"device": "cuda", "card": "a card", "cases": [], "failures": []}
for number in range(2):
    facts["cases"].append({"case": f"line {number}", "value": 1.5, "unit": "x"})
    pathlib.Path(sys.argv[1]).write_text(json.dumps(facts))
print("said")
"""
WAITS = f"{WRITES}\nsys.stdout.flush()\ntime.sleep(3600)"
FAILS = f"{WRITES}\nraise ValueError('no such kernel')"
DIES = f"{WRITES}\nimport os, signal\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGSEGV)"


def run(folder: Path, stages: dict[str, str], **settings: Any) -> dict[str, Any]:
    """Run stages with these programs in place of their own."""

    def command(name: str) -> list[str]:
        return [sys.executable, "-c", stages[name], str(folder / f"{name}.json")]

    options = {"seconds": 300.0, "limit_s": 30.0, "device": "cpu", **settings}
    return first_gpu.run(stages, command, folder, **options)


def test_a_stage_that_fails_or_crashes_loses_only_its_own_results(tmp_path: Path) -> None:
    found = run(tmp_path, {"smoke": FAILS, "fused": DIES, "r20": WRITES})
    assert [facts["status"] for facts in found.values()] == [
        "failed with status 1",
        "killed by SIGSEGV",
        "finished",
    ]
    assert [len(facts["cases"]) for facts in found.values()] == [2, 2, 2], "lines written before the failure stay"
    assert found["smoke"]["last_lines"][-1] == "ValueError: no such kernel"
    assert (tmp_path / "smoke.txt").read_text().startswith("said\n")


def test_a_stage_that_takes_too_long_is_stopped_and_its_lines_stay(tmp_path: Path) -> None:
    found = run(tmp_path, {"smoke": WAITS, "fused": WRITES}, limit_s=2.0)
    assert found["smoke"]["status"] == "stopped at its limit of 2 s"
    assert len(found["smoke"]["cases"]) == 2
    assert found["fused"]["status"] == "finished"


def test_results_of_all_finished_stages_are_written_after_each_stage(tmp_path: Path) -> None:
    looks = f"{WRITES}\nprint(pathlib.Path(sys.argv[1]).with_name('first_gpu.json').read_text())"
    run(tmp_path, {"smoke": WRITES, "fused": looks})
    seen = json.loads((tmp_path / "fused.txt").read_text().removeprefix("said\n"))
    assert seen["stages"]["smoke"]["status"] == "finished"
    assert "fused" not in seen["stages"]
    assert "| smoke | line 1 | 1.5x |" in (tmp_path / "first_gpu.md").read_text()


def test_a_stage_without_enough_time_is_left_out_and_results_of_an_earlier_run_stay(tmp_path: Path) -> None:
    run(tmp_path, {"smoke": WRITES})
    found = run(tmp_path, {"fused": WRITES}, seconds=5.0)
    assert found["smoke"]["status"] == "finished"
    assert found["fused"]["status"] == "left out: only 5 s were left"
    assert "left out: only 5 s were left" in table(found)


def test_the_table_compares_measured_with_expected_values_and_names_missing_ones() -> None:
    eager = {"case": "resnet20, an epoch, eager", "value": 4.0, "unit": "s"}
    text = table({"r20": {"device": "cuda", "status": "finished", "cases": [eager], "failures": []}})
    assert "| r20 | resnet20, an epoch, eager | 4 s | 2 to 3 s | more |" in text
    assert "| r20 | resnet20, an epoch, a CUDA graph | not measured | 0.35 to 0.55 s | |" in text
    assert "| smoke | Can a step be recorded, and is the recorded step the same? | | | not requested |" in text


def test_a_machine_without_a_gpu_is_reported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = first(tmp_path, "smoke", "--out", str(out), device="cuda", status=1)
    assert found["smoke"]["status"] == "left out: torch sees no GPU; --device cpu tests the code without one"


@pytest.mark.long
def test_every_stage_finishes_on_a_cpu_with_few_packages_beside_torch(tmp_path: Path) -> None:
    found = first(tmp_path, "--seconds", "280", "--out", str(tmp_path / "out"), device="cpu")
    assert {name: facts["status"] for name, facts in found.items()} == dict.fromkeys(STAGES, "finished")
    assert [facts["failures"] for facts in found.values()] == [[]] * len(STAGES)
    lines = [(name, case["case"]) for name, facts in found.items() for case in facts["cases"]]
    unmet = [row for row in EXPECTED if not any(row.covers(*line) for line in lines)]
    assert unmet == [], "every expected line is measured under that name"
    exact = {case["case"]: case["value"] for name in ("smoke", "streams", "run") for case in found[name]["cases"]}
    assert {value for case, value in exact.items() if case.startswith("recorded minus eager")} == {0.0}
    assert {value for case, value in exact.items() if "bits of" in case or "resumed" in case} == {1.0}
    assert found["smoke"]["commit"] == "abc"


def first(tmp_path: Path, *arguments: str, device: str, status: int = 0) -> dict[str, Any]:
    """Run stages in a process as on a machine with few packages, and return their results."""
    command = [sys.executable, str(ROOT / "benchmarks" / "first_gpu.py"), *arguments]
    ran = subprocess.run(
        [*command, "--device", device, "--commit", "abc"],
        env={**bare.environment(tmp_path, *NOT_BROUGHT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "| stage | line | value | expected | |" in ran.stdout
    return dict(json.loads((tmp_path / "out" / "first_gpu.json").read_text())["stages"])


@pytest.mark.parametrize("seeds", [1, 2])
def test_weights_gradients_and_images_have_the_measured_layout(seeds: int) -> None:
    images = TINY.images(1)
    losses = []
    for name, layout in LAYOUTS.items():
        specs = TINY.specs(TINY.net("resnet20"), seeds, images)
        group = with_layout([Member.of(spec, None, "cpu") for spec in specs], layout)
        seen: list[torch.Tensor] = []
        group.model.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.extend(inputs))  # type: ignore[misc]
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        losses.append(step(group, [x] * seeds, [torch.zeros(4, dtype=torch.long)] * seeds, "cpu")[0])
        weight = next(group.model.parameters())
        assert all(each.is_contiguous(memory_format=layout) for each in (*seen, weight, weight.grad)), name
        assert not any(each.is_contiguous() for each in (*seen, weight)) or layout is torch.contiguous_format
    torch.testing.assert_close(*losses)


def test_gpu_tests_are_collected_with_only_pytest_and_torch(tmp_path: Path) -> None:
    options = ["-p", "no:timeout", "-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/gpu", "--collect-only", "-q", *options],
        cwd=ROOT,
        env=bare.environment(tmp_path, "sqlalchemy", "pandas", "rich"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "test_steps.py::test_a_graph_gives_the_losses_of_its_kernels[8-bf16]" in ran.stdout
