"""The cluster recipes can be parsed and protect Ray; the batch script requeues itself and finishes the study."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from runs import MARK, STUDY, alive, epochs, numbers, stored, write

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "cluster.md"
BATCH = ROOT / "docs" / "cluster" / "slurm.sbatch"
JOB = ROOT / "docs" / "cluster" / "rayjob.yaml"

BLOCKS = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def manifests() -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(JOB.read_text(encoding="utf-8")))


@pytest.mark.parametrize("script", [*BLOCKS, BATCH.read_text(encoding="utf-8")])
def test_bash_can_parse_every_script(script: str) -> None:
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("script", [block for block in [*BLOCKS, BATCH.read_text("utf-8")] if "ray start" in block])
def test_a_cluster_is_started_with_a_token_and_its_dashboard_on_loopback(script: str) -> None:
    assert "RAY_AUTH_MODE=token" in script
    for line in re.findall(r"ray start --head.*", script):
        assert "--include-dashboard=false" in line or "--dashboard-host=127.0.0.1" in line


def test_ray_has_every_option_that_the_guide_uses() -> None:
    for command in ("start", "job submit", "get-auth-token", "health-check"):
        given = re.findall(rf"\bray {command}\b([^#\n&]*)", "\n".join([*BLOCKS, BATCH.read_text("utf-8")]))
        assert given, command
        ray = [str(Path(sys.executable).with_name("ray")), *command.split(), "--help"]
        known = subprocess.run(ray, capture_output=True, text=True, check=True).stdout
        for option in {option for text in given for option in re.findall(r"(--[\w-]+)", text.partition(" -- ")[0])}:
            assert option in known, (command, option)


def test_the_kubernetes_job_requires_the_token_and_admits_nobody_else() -> None:
    job, policy = manifests()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert "dashboard-host" not in cluster["headGroupSpec"]["rayStartParams"]
    assert policy["kind"] == "NetworkPolicy"
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert all("podSelector" in each or "namespaceSelector" in each for each in policy["spec"]["ingress"][0]["from"])


def test_the_kubernetes_job_gives_every_pod_the_same_image_and_the_shared_folder() -> None:
    cluster = manifests()[0]["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    for pod in pods:
        assert pod["containers"][0]["volumeMounts"] == [{"name": "shared", "mountPath": "/shared"}]
        assert [volume["name"] for volume in pod["volumes"]] == ["shared"]
        assert pod["terminationGracePeriodSeconds"] > 60


def test_the_kubernetes_job_runs_a_shipped_study() -> None:
    from resnet_space.api.studies import load

    words = manifests()[0]["spec"]["entrypoint"].split()
    assert words[:2] == ["resnet-space", "run"]
    load(words[2], profile=words[words.index("--profile") + 1])
    assert words[words.index("--out") + 1].startswith("/shared/")


def test_slurm_signals_twice_as_early_as_a_run_needs_to_stop() -> None:
    from search.running.signals import PATIENCE_SECONDS

    found = re.search(r"^#SBATCH --signal=B:USR1@(\d+)$", BATCH.read_text("utf-8"), re.MULTILINE)
    assert found
    assert int(found[1]) >= 2 * PATIENCE_SECONDS
    assert "#SBATCH --requeue\n" in BATCH.read_text("utf-8")


@pytest.mark.long
def test_the_batch_script_requeues_itself_on_usr1_and_finishes_the_study(tmp_path: Path) -> None:
    """Slurm's programs are replaced: `srun` runs its command here, `scontrol` writes its arguments to a file."""
    programs, out, study = tmp_path / "bin", tmp_path / "run", write(tmp_path)
    programs.mkdir()
    for name, text in {
        "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
        "scontrol": f'echo "$@" >> "{tmp_path}/requeued"',
        "resnet-space": f'exec "{sys.executable}" -m resnet_space "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    mark = tmp_path.name
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "STUDY": str(study),
        "OUT": str(out),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NUM_NODES": "1",
        MARK: mark,
    }

    def begun(log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as stream:
            return subprocess.Popen(
                ["bash", str(BATCH)], stdout=stream, stderr=stream, env=environment, start_new_session=True
            )

    first = begun(tmp_path / "first.log")
    try:
        end = time.monotonic() + 200
        while not epochs(out):
            assert first.poll() is None, (tmp_path / "first.log").read_text()
            assert time.monotonic() < end, (tmp_path / "first.log").read_text()
            time.sleep(0.05)
        first.send_signal(signal.SIGUSR1)
        assert first.wait(120) == 128 + signal.SIGUSR1, (tmp_path / "first.log").read_text()
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    said = (tmp_path / "first.log").read_text()
    assert "stopped by SIGUSR1; what is stored stays, and the same command goes on from there" in said
    assert (tmp_path / "requeued").read_text() == f"requeue {environment['SLURM_JOB_ID']}\n"
    assert alive(mark) == []
    assert stored(out)[2]["complete"] < 4

    again = begun(tmp_path / "again.log")
    try:
        assert again.wait(250) == 0, (tmp_path / "again.log").read_text()
    finally:
        if again.poll() is None:
            os.killpg(again.pid, signal.SIGKILL)
    assert stored(out)[2]["complete"] == 4
    assert len(numbers(out)) == 4 + 4 * STUDY["recipe"]["epochs"]
    assert (tmp_path / "requeued").read_text().count("requeue") == 1
    assert alive(mark) == []
