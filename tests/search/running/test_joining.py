"""Joining Ray from an empty folder, and one-line errors if it does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_space.errors import InputError
from resnet_space.package_names import HOME
from search.data.places import cache_folder
from search.running.ray.joining import absolute_path, check_reachable, joining_error, joining_folder


def test_a_driver_joins_from_an_empty_folder_and_relative_paths_keep_their_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"parts{os.pathsep}/else")
    monkeypatch.setenv("RAY_TMPDIR", "")
    with joining_folder() as folder:
        assert os.listdir(folder) == []
        assert os.environ["PYTHONPATH"] == f"{tmp_path}/parts{os.pathsep}/else"
        assert "RAY_TMPDIR" not in os.environ, "Ray would take an empty one for the folder it begins in"
    assert not Path(folder).exists()


def test_workers_of_a_checkout_that_is_not_installed_need_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(HOME)
    with joining_folder() as folder:
        assert folder == HOME


def test_the_data_root_is_sent_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [absolute_path(path) for path in (None, "data", "/data", "~/data")] == [
        None,
        f"{tmp_path}/data",
        "/data",
        "~/data",
    ]


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        (
            None,
            OSError("AF_UNIX path length cannot exceed 107 bytes: /x"),
            "long for a socket; set RAY_TMPDIR",
        ),
        (
            None,
            PermissionError(13, "Permission denied", "/tmp/ray"),
            "Permission denied: '/tmp/ray'; set RAY_TMPDIR to a",
        ),
        (
            None,
            PermissionError(13, "Permission denied", "/me/.ray"),
            "/me/.ray: Permission denied; set HOME to another",
        ),
        (None, RuntimeError("no\nmore"), "Ray does not start here: no"),
        ("there:1", ConnectionError("nobody"), "--address there:1: nobody"),
    ],
)
def test_the_error_of_a_ray_that_does_not_start_is_one_line(address: str | None, error: Exception, says: str) -> None:
    text = str(joining_error(address, error))
    assert says in text
    assert "\n" not in text


def test_a_full_disk_is_reported_if_ray_does_not_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.running.ray.joining.MIN_FREE_BYTES", 10**18)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert str(joining_error(None, RuntimeError("Timed out"))) == "Ray does not start here: Timed out; /tmp is full"


def test_an_invalid_host_name_is_refused() -> None:
    with pytest.raises(InputError, match="no Ray cluster listens there"):
        check_reachable("é..é:1")


def test_a_cache_in_the_home_of_an_unknown_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_SPACE_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(InputError, match="Set RESNET_SPACE_CACHE to a folder"):
        cache_folder()


def test_a_removed_working_directory_is_reported(tmp_path: Path) -> None:
    line = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m resnet_space list'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    problem = "the working directory no longer exists; change to another one with cd"
    assert done.stderr.splitlines()[-1] == f"error: {problem}"


@pytest.mark.slow
def test_a_folder_too_long_for_ray_s_sockets_ends_a_run_in_one_line(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 80)
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "resnet_space", "run", "transitions", "--seeds", "1", "--epochs", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_TMPDIR": str(place)},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        f"error: Ray does not start here, since it cannot keep its files in {place}"
    )
