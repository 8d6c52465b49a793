"""`resnet-space doctor` reports what a machine has, finds what is wrong with it, and gives advice."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import bad_kernels
import pytest
import torch
from verbs import Cli

from search.running import doctor
from search.running.doctor import CHECKS, FAULTS, Finding, examine

LIGHT = [name for name in CHECKS if name != "numerics"]


def found(check: str, name: str) -> Finding:
    [one] = [finding for finding in CHECKS[check]() if finding.name == name]
    return one


@pytest.mark.parametrize("check", LIGHT)
def test_every_check_has_findings_and_advice_if_something_is_wrong(check: str) -> None:
    findings = list(CHECKS[check]())
    assert findings or check == "known faults"
    assert all(finding.text for finding in findings)
    assert [finding for finding in findings if finding.level == "wrong" and not finding.advice] == []


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """All checks but the one that takes seconds."""
    monkeypatch.setattr(doctor, "CHECKS", {name: CHECKS[name] for name in LIGHT})


@pytest.mark.usefixtures("light")
def test_the_json_output_has_what_a_bug_report_needs(resnet_space: Cli) -> None:
    done = resnet_space("doctor", "--json")
    told = json.loads(done.out)
    names = {finding["name"] for finding in told["findings"]}
    assert {"versions", "processor", "instruction sets", "threads", "memory", "cache", "open files", "GPU"} <= names
    assert told["ok"] == (done.status == 0)
    assert told["findings"][0].keys() == {"name", "text", "level", "advice"}


def test_a_machine_with_something_wrong_is_status_1_with_what_to_do(
    resnet_space: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"only": lambda: iter([Finding("disk", "0 MB free", "wrong", "make room")])})
    done = resnet_space("doctor")
    assert done.status == 1
    assert "wrong  disk: 0 MB free; make room" in done.out


def test_a_machine_with_nothing_wrong_is_status_0(resnet_space: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"only": lambda: iter([Finding("disk", "9 GB free")])})
    done = resnet_space("doctor")
    assert (done.status, done.out.splitlines()) == (0, ["ok     disk: 9 GB free"])


def test_a_check_that_fails_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("first", "fine")
        raise OSError("no such thing")

    monkeypatch.setattr(doctor, "CHECKS", {"odd": broken})
    [first, second] = examine()
    assert first.text == "fine"
    assert (second.level, second.text) == ("note", "could not be checked: OSError: no such thing")


def test_more_threads_than_cores_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    finding = found("processor", "threads")
    assert finding.level == "wrong"
    assert "OMP_NUM_THREADS=" in finding.advice


def test_variables_that_change_threads_or_kernels_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert "ONEDNN_MAX_CPU_ISA=SSE41" in found("processor", "environment").text


def test_a_temporary_folder_whose_path_is_too_long_for_sockets_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "a" * 60)
    finding = found("limits", "temporary path")
    assert finding.level == "wrong"
    assert "RAY_TMPDIR" in finding.advice


def test_few_open_files_are_noted() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        finding = found("limits", "open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.level == "note"
    assert "ulimit -n" in finding.advice


def test_a_cache_that_cannot_be_written_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", "/proc/cache")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/proc"))
    finding = found("disks", "cache")
    assert finding.level == "wrong"
    assert "RESNET_SPACE_CACHE" in finding.advice


def test_a_torchvision_that_does_not_fit_its_torch_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str) -> Any:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return import_module(name)

    monkeypatch.setattr(doctor, "import_module", failing)
    finding = found("versions", "torchvision")
    assert finding.level == "wrong"
    assert "operator torchvision::nms does not exist" in finding.text


def test_onednns_known_fault_is_listed_on_processors_without_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    [fault] = [fault for fault in FAULTS if "6035" in fault.source]
    assert fault.applies(["avx", "avx2", "fma"])
    assert not fault.applies(["avx", "avx2", "avx512f"])
    assert not fault.applies(["asimd"])


@pytest.mark.long
@pytest.mark.parametrize("fault", ["lie conv2d 8", "lie_always conv2d 8"])
def test_a_wrong_kernel_is_found_and_named(fault: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resnet_space", "doctor", "--json"],
        env={**os.environ, **bad_kernels.environment(tmp_path, fault)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1, done.stderr
    wrong = [finding for finding in json.loads(done.stdout)["findings"] if finding["level"] == "wrong"]
    kernels = [finding for finding in wrong if finding["name"] == "numerics"]
    assert kernels
    assert all("is wrong: gradient of weight has a relative error of" in finding["text"] for finding in kernels)
