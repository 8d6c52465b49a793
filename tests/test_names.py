"""Names of ours that a user's files have too: ours are imported, the user's never run, and what cannot be is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nodes import Nodes
from runs import STUDY

from resnet_space import documents, package_names
from search.trials.trial import TrialSpec

ROOT = Path(package_names.HOME)
SCRIPT = str(Path(sys.executable).with_name("resnet-space"))
TRACE = "executed"
RUNS = f"open({TRACE!r}, 'a').close()\nraise RuntimeError('a file of the user was run')\n"

FILES: dict[str, str] = {
    "search.py": RUNS,
    "search/__init__.py": RUNS,
    "search/words.txt": "a folder, and no package",
    "reports/__init__.py": RUNS,
    "ablations.py": RUNS,
    "resnet_space.py": RUNS,
}
"""What a user may have in the working directory."""

ALL = ("search.py", "reports/__init__.py", "ablations.py", "resnet_space.py")


def put(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(FILES[name])
    return folder


def call(*command: object, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    return subprocess.run(
        list(map(str, command)),
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
        env={**clean, **environment},
        timeout=200,
    )


def study(folder: Path) -> Path:
    """Two trials of an epoch, whose data are named by a relative path."""
    import numpy as np

    (folder / "data").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.savez(folder / "data" / "images.npz", x=images, y=np.arange(200) % 10)
    changes = {
        "seeds": 1,
        "data": {"name": "npz", "root": "data/images.npz"},
        "recipe": {"base": "digits", "epochs": 1, "batch_size": 32},
    }
    path = folder / "brief.yaml"
    path.write_text(documents.write(STUDY | changes))
    return path


@pytest.mark.parametrize("entry", ["", ".", "../here", "WHOLE"])
def test_the_working_directory_is_taken_off_the_path_however_it_is_written(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    entry = entry.replace("WHOLE", str(tmp_path / "here"))
    monkeypatch.setattr(sys, "path", [entry, "/elsewhere", str(ROOT)])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([entry, "/elsewhere", "../there"]))
    package_names.put_own_packages_first()
    assert sys.path == ["/elsewhere", str(ROOT)]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == ["/elsewhere", str(tmp_path / "there")]


def test_a_checkout_that_is_the_working_directory_stays_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", "/elsewhere"])
    package_names.put_own_packages_first()
    assert sys.path == ["", "/elsewhere"]


def test_nothing_comes_before_ours_here() -> None:
    assert package_names.find_shadowing_package() == package_names.find_shadowing_package(None) == ""


def test_a_folder_that_is_no_package_does_not_come_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(put(tmp_path, "search/words.txt"))
    assert package_names.find_shadowing_package() == package_names.find_shadowing_package(None) == ""


@pytest.mark.parametrize("file", FILES)
def test_no_file_of_the_working_directory_is_taken_for_ours(file: str, tmp_path: Path) -> None:
    put(tmp_path, file)
    # Python itself looks for what -m names, and finds the user's: no word of ours is in that.
    module = [] if file == "resnet_space.py" else [(sys.executable, "-m", "resnet_space")]
    for command in [(SCRIPT,), *module]:
        done = call(*command, "list", "studies", at=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "transitions" in done.stdout
    assert not (tmp_path / TRACE).exists()


@pytest.mark.parametrize("file", [name for name in FILES if FILES[name] == RUNS and name != "resnet_space.py"])
def test_one_that_the_user_puts_before_ours_is_said_in_one_line(file: str, tmp_path: Path) -> None:
    theirs = put(tmp_path / "theirs", file)
    name = file.split(".")[0].split("/")[0]
    found = theirs / (name if "/" in file else file)
    for command in [(SCRIPT,), (sys.executable, "-m", "resnet_space")]:
        done = call(*command, "list", "studies", at=tmp_path, PYTHONPATH=str(theirs))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {found} comes before {ROOT / name} of resnet-space under the name {name!r}; "
            f"rename it, or take {theirs} out of PYTHONPATH\n"
        )
    assert not (tmp_path / TRACE).exists()


@pytest.mark.long
@pytest.mark.parametrize(("options", "environment"), [(("--inline",), {}), ((), {"PYTHONPATH": ":."})])
def test_a_study_runs_from_a_folder_with_such_names_and_finds_its_relative_data(
    options: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    # Empty and relative entries of PYTHONPATH are the working directory, of workers as well; in them Python would find
    # a resnet_space.py before any word of ours.
    put(tmp_path, *(ALL[:-1] if environment else ALL))
    done = call(SCRIPT, "run", study(tmp_path), "--out", "run", *options, at=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("complete, test error") == 2
    assert not (tmp_path / TRACE).exists()


@pytest.mark.long
def test_on_a_cluster_too_and_a_node_where_another_comes_first_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, *ALL)
    theirs = put(tmp_path / "theirs", "search.py")
    path = study(tmp_path)
    with Nodes() as nodes:
        run = (SCRIPT, "run", path, "--address", nodes.address)
        nodes.worker()
        done = call(*run, "--out", "run", at=tmp_path, **nodes.environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("complete, test error") == 2
        nodes.worker(PYTHONPATH=str(theirs))
        done = call(*run, "--out", "other", at=tmp_path, **nodes.environment)
    assert done.returncode == 2, done.stderr
    first, second = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert first == "error: 1 of 2 nodes cannot take trials:"
    assert f": {theirs / 'search.py'} comes before {ROOT / 'search'} of resnet-space under the name 'search'" in second
    assert second.startswith("error: node ")
    assert not (tmp_path / TRACE).exists()


CONNECTED = f"""
import sys
sys.path.append({str(ROOT / "benchmarks")!r})
from pathlib import Path
from resnet_space.errors import InputError
from search.running.ray import cluster, runner
from search.data import DataSet
from search.running.preflight import Preflight
from search.trials.resources import Resources
from sweeping import Listed
from search.trials.trial import Job, TrialSpec

spec = TrialSpec.from_json(sys.argv[1])
cluster.ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
preflight = Preflight(Path(sys.argv[2]), [(spec.data, spec.fingerprint)])
try:
    runner.run(
        Listed([Job(trials=(spec,))], print), resources=Resources(), checkpoints=preflight.checkpoints,
        preflight=preflight,
    )
except InputError as error:
    print(error)
"""


@pytest.mark.long
def test_in_a_ray_that_the_user_has_begun_it_is_said_before_the_first_trial(
    trial: Callable[..., TrialSpec], tmp_path: Path
) -> None:
    """Its workers have the working directory on their path, and that cannot be changed any more."""
    put(tmp_path, "search.py")
    (tmp_path / "spec.json").write_text(trial().to_json())
    done = call(sys.executable, "-P", "-c", CONNECTED, "spec.json", tmp_path / "checkpoints", at=tmp_path)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert f": {tmp_path / 'search.py'} comes before {ROOT / 'search'} of resnet-space" in line
    assert not (tmp_path / TRACE).exists()
